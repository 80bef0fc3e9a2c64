//! The functions that a component exports and imports, with their types.
//!
//! They are found by validating all but its code, since only then it is known what its indices mean. The
//! component has been gone through before, by `expansion.rs`: it does not become more than engines take.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::Types;
use wasmparser::{PrimitiveValType, ValidPayload, Validator};

use crate::decl::{Export, Import};
use crate::parser::{FEATURES, parser};
use crate::wasi;
use crate::wit::{
    ComponentFunction, ComponentSignature, ComponentType, ImportedResource, ResourceType,
    WasiImports,
};

/// The most functions, and bytes of their names, that a component may have to be told of. Real ones have some
/// hundreds; few bytes can stand for many more, since an instance may be exported again and again.
const MAX_FUNCTIONS: usize = 10_000;
const MAX_NAMES: usize = 4 << 20;

/// The functions of a component.
#[derive(Clone, Default)]
pub(crate) struct Interfaces {
    pub(crate) exported: Vec<ComponentFunction>,
    /// Those that are not WASI's.
    pub(crate) imported: Vec<ComponentFunction>,
    /// Resources that it imports, and that are not WASI's: the interface, and the name there.
    pub(crate) imported_resources: Vec<(Arc<str>, Arc<str>)>,
    /// Types, and interfaces of nothing else, which nobody needs to have for a component that imports them.
    pub(crate) only_types: Vec<String>,
    /// What it imports of WASI, if that could be read.
    pub(crate) wasi: Option<WasiImports>,
}

/// Reads a component. One that is not valid has no functions, and its engine tells what is wrong with it; nor has one
/// with more than there may be.
pub(crate) fn read(wasm: &[u8], imports: &[Import], exports: &[Export]) -> Interfaces {
    let types = types(wasm);
    let read = types.and_then(|types| Reader::new(&types).read(imports, exports));
    read.unwrap_or_default()
}

/// The types of all there is in a component.
fn types(wasm: &[u8]) -> Option<Types> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut types = None;
    for payload in parser().parse_all(wasm) {
        if let ValidPayload::End(end) = validator.payload(&payload.ok()?).ok()? {
            types = Some(end);
        }
    }
    types
}

/// What was found of imports, or exports.
#[derive(Default)]
struct Found {
    functions: Vec<ComponentFunction>,
    resources: Vec<ImportedResource>,
    /// There were resources among them that were not seen before.
    has_new: bool,
}

struct Reader<'a> {
    types: &'a Types,
    functions: usize,
    names: usize,
    /// What was read is shared: a type that has another twice, and so on, doubles when it is written out.
    known: HashMap<ComponentDefinedTypeId, ComponentType>,
    signatures: HashMap<ComponentFuncTypeId, Arc<ComponentSignature>>,
    resources: HashMap<ResourceId, ResourceType>,
    /// Types with something in them that cannot be written down.
    opaque: HashSet<ComponentDefinedTypeId>,
    /// Something like that was seen.
    is_opaque: bool,
}

impl<'a> Reader<'a> {
    fn new(types: &'a Types) -> Self {
        Reader {
            types,
            functions: 0,
            names: 0,
            known: HashMap::new(),
            signatures: HashMap::new(),
            resources: HashMap::new(),
            opaque: HashSet::new(),
            is_opaque: false,
        }
    }

    /// `None` if there is too much.
    fn read(mut self, imports: &[Import], exports: &[Export]) -> Option<Interfaces> {
        let mut read = Interfaces::default();
        let mut wasi = WasiImports::default();
        for import in imports {
            let name = &import.module;
            let Some(item) = self.types.component_item_for_import(name) else {
                continue;
            };
            let found = self.all_of(name, item.ty)?;
            // Resources have names from all.
            if wasi::defines_for_component(import) {
                wasi.functions.extend(found.functions);
                wasi.resources.extend(found.resources);
                continue;
            }
            if !found.has_new && self.is_only_types(item.ty) {
                read.only_types.push(name.clone());
            }
            read.imported.extend(found.functions);
            read.imported_resources
                .extend(found.resources.into_iter().filter_map(|resource| {
                    resource
                        .is_new
                        .then_some((resource.interface, resource.name))
                }));
        }
        read.wasi = Some(wasi);
        for Export { name, .. } in exports {
            if let Some(item) = self.types.component_item_for_export(name) {
                read.exported.extend(self.all_of(name, item.ty)?.functions);
            }
        }
        Some(read)
    }

    /// What there is of what is imported or exported by that name.
    fn all_of(&mut self, name: &str, ty: ComponentEntityType) -> Option<Found> {
        let mut found = Found::default();
        let types = self.types;
        if let ComponentEntityType::Instance(id) = ty {
            let interface = name.into();
            for (name, item) in &types[id].exports {
                self.find(&interface, name, item.ty, &mut found)?;
            }
        } else {
            self.find(&"".into(), name, ty, &mut found)?;
        }
        Some(found)
    }

    fn find(
        &mut self,
        interface: &Arc<str>,
        name: &str,
        ty: ComponentEntityType,
        found: &mut Found,
    ) -> Option<()> {
        match ty {
            ComponentEntityType::Func(id) => {
                self.spend(interface, name)?;
                found.functions.push(ComponentFunction {
                    interface: interface.clone(),
                    name: name.into(),
                    signature: self.signature(id),
                });
            }
            ComponentEntityType::Type {
                created: ComponentAnyTypeId::Resource(id),
                ..
            } => {
                let is_new = !self.resources.contains_key(&id.resource());
                self.spend(interface, name)?;
                let name: Arc<str> = name.into();
                found.resources.push(ImportedResource {
                    resource: self.resource(id.resource(), name.clone()),
                    interface: interface.clone(),
                    name,
                    is_new,
                });
                found.has_new |= is_new;
            }
            _ => {}
        }
        Some(())
    }

    fn spend(&mut self, interface: &str, name: &str) -> Option<()> {
        self.functions += 1;
        self.names += interface.len() + name.len();
        (self.functions <= MAX_FUNCTIONS && self.names <= MAX_NAMES).then_some(())
    }

    fn is_only_types(&self, ty: ComponentEntityType) -> bool {
        let is_type = |ty| matches!(ty, ComponentEntityType::Type { .. });
        match ty {
            ComponentEntityType::Instance(id) => {
                let mut exports = self.types[id].exports.values().peekable();
                exports.peek().is_some() && exports.all(|item| is_type(item.ty))
            }
            ty => is_type(ty),
        }
    }

    fn signature(&mut self, id: ComponentFuncTypeId) -> Arc<ComponentSignature> {
        if let Some(known) = self.signatures.get(&id) {
            return known.clone();
        }
        self.is_opaque = false;
        let func = &self.types[id];
        let params = func.params.iter();
        let params = params.map(|(name, ty)| (name.as_str().into(), self.ty(*ty)));
        let (params, result) = (params.collect(), func.result);
        let result = result.map(|ty| self.ty(ty));
        let signature = Arc::new(ComponentSignature {
            params,
            result,
            is_async: func.async_,
            is_opaque: self.is_opaque,
        });
        self.signatures.insert(id, signature.clone());
        signature
    }

    // As deep as types nest, which validating has bounded.
    fn ty(&mut self, ty: ComponentValType) -> ComponentType {
        match ty {
            ComponentValType::Primitive(ty) => primitive(ty),
            ComponentValType::Type(id) => {
                if let Some(known) = self.known.get(&id) {
                    self.is_opaque |= self.opaque.contains(&id);
                    return known.clone();
                }
                let before = std::mem::take(&mut self.is_opaque);
                let ty = self.defined(id);
                self.known.insert(id, ty.clone());
                if self.is_opaque {
                    self.opaque.insert(id);
                }
                self.is_opaque |= before;
                ty
            }
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> ComponentType {
        use ComponentDefinedType as D;
        let types = self.types;
        match &types[id] {
            D::Primitive(ty) => primitive(*ty),
            D::List { element, .. } => ComponentType::List(self.ty(*element).into()),
            D::Record(record) => {
                let fields = record.fields.iter();
                let fields = fields.map(|(name, ty)| (name.as_str().into(), self.ty(*ty)));
                ComponentType::Record(fields.collect())
            }
            D::Tuple(tuple) => {
                ComponentType::Tuple(tuple.types.iter().map(|ty| self.ty(*ty)).collect())
            }
            D::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases =
                    cases.map(|(name, case)| (name.as_str().into(), case.ty.map(|ty| self.ty(ty))));
                ComponentType::Variant(cases.collect())
            }
            D::Enum(names) => {
                ComponentType::Enum(names.iter().map(|name| name.as_str().into()).collect())
            }
            D::Flags(names) => {
                ComponentType::Flags(names.iter().map(|name| name.as_str().into()).collect())
            }
            D::Option { ty, .. } => ComponentType::Option(self.ty(*ty).into()),
            D::Result { ok, err, .. } => {
                let ok = ok.map(|ty| self.ty(ty));
                ComponentType::Result((ok, err.map(|ty| self.ty(ty))).into())
            }
            D::Own(id) => {
                let resource = self.resource(id.resource(), UNNAMED.into());
                self.opaque(ComponentType::Own(resource))
            }
            D::Borrow(id) => {
                let resource = self.resource(id.resource(), UNNAMED.into());
                self.opaque(ComponentType::Borrow(resource))
            }
            D::Map { .. } => self.opaque(ComponentType::Other("map")),
            D::FixedLengthList { .. } => self.opaque(ComponentType::Other("list of fixed length")),
            D::Future { .. } => self.opaque(ComponentType::Other("future")),
            D::Stream { .. } => self.opaque(ComponentType::Other("stream")),
        }
    }

    fn opaque(&mut self, ty: ComponentType) -> ComponentType {
        self.is_opaque = true;
        ty
    }

    fn resource(&mut self, id: ResourceId, name: Arc<str>) -> ResourceType {
        let number = self.resources.len();
        let new = || ResourceType { name, number };
        self.resources.entry(id).or_insert_with(new).clone()
    }
}

/// What a resource is called that has no name.
const UNNAMED: &str = "resource";

fn primitive(ty: PrimitiveValType) -> ComponentType {
    match ty {
        PrimitiveValType::Bool => ComponentType::Bool,
        PrimitiveValType::S8 => ComponentType::S8,
        PrimitiveValType::U8 => ComponentType::U8,
        PrimitiveValType::S16 => ComponentType::S16,
        PrimitiveValType::U16 => ComponentType::U16,
        PrimitiveValType::S32 => ComponentType::S32,
        PrimitiveValType::U32 => ComponentType::U32,
        PrimitiveValType::S64 => ComponentType::S64,
        PrimitiveValType::U64 => ComponentType::U64,
        PrimitiveValType::F32 => ComponentType::F32,
        PrimitiveValType::F64 => ComponentType::F64,
        PrimitiveValType::Char => ComponentType::Char,
        PrimitiveValType::String => ComponentType::String,
        PrimitiveValType::ErrorContext => ComponentType::Other("error-context"),
    }
}

#[cfg(test)]
mod tests {
    use crate::Guest;

    fn listed(text: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let guest = Guest::from_bytes("c.wat", text).expect("it is well-formed");
        let list = |functions: &[crate::ComponentFunction]| {
            let functions = functions.iter();
            functions
                .map(|function| format!("{function}: {}", function.signature))
                .collect()
        };
        (
            list(guest.imported_functions()),
            list(guest.exported_functions()),
            guest
                .imported_resources()
                .map(|(interface, name)| format!("{interface}#{name}"))
                .collect(),
        )
    }

    #[test]
    fn functions_are_told_with_their_types() {
        let (imported, exported, resources) = listed(
            r#"(component
                (import "log" (func $log (param "line" string)))
                (import "acme:host/shapes@1.0.0" (instance $shapes
                    (type $point' (record (field "x" s32) (field "y" s32)))
                    (export "point" (type $point (eq $point')))
                    (type $list (list $point))
                    (type $flags' (flags "a" "b"))
                    (export "how" (type $flags (eq $flags')))
                    (type $variant' (variant (case "none") (case "at" $point)))
                    (export "place" (type $variant (eq $variant')))
                    (type $result (result $variant (error string)))
                    (export "area" (func (param "of" $list) (param "how" $flags) (result $result)))))
                (import "acme:host/files@1.0.0" (instance
                    (export "file" (type $file (sub resource)))
                    (type $own (own $file))
                    (export "open" (func (result $own)))))
                (type $color' (enum "red" "green"))
                (import "color" (type $color (eq $color')))
                (import "acme:host/types@1.0.0" (instance
                    (type $size u32) (export "size" (type (eq $size)))))
                (import "wasi:cli/environment@0.2.0" (instance
                    (export "get" (func))))
                (export "again" (func $log))
                (export "acme:guest/shapes@1.0.0" (instance $shapes)))"#,
        );
        let area = "area: func(of: list<record { x: s32, y: s32 }>, how: flags { a, b }) -> \
                    result<variant { none, at(record { x: s32, y: s32 }) }, string>";
        assert_eq!(
            imported,
            [
                "log: func(line: string)".to_owned(),
                format!("acme:host/shapes@1.0.0#{area}"),
                "acme:host/files@1.0.0#open: func() -> own<file>".to_owned(),
            ]
        );
        assert_eq!(
            exported,
            [
                "again: func(line: string)".to_owned(),
                format!("acme:guest/shapes@1.0.0#{area}"),
            ]
        );
        assert_eq!(resources, ["acme:host/files@1.0.0#file"]);
    }

    #[test]
    fn what_is_nothing_but_types_is_nobodys_to_have() {
        let guest = |exports: &str| {
            let text = format!(r#"(component (import "acme:host/x" (instance {exports})))"#);
            Guest::from_bytes("c.wat", text).expect("it is well-formed")
        };
        for (exports, unknown) in [
            (r#"(type $t u32) (export "t" (type (eq $t)))"#, 0),
            (r#"(export "file" (type (sub resource)))"#, 1),
            (
                r#"(type $t u32) (export "t" (type (eq $t))) (export "f" (func))"#,
                1,
            ),
            ("", 1),
        ] {
            assert_eq!(guest(exports).unknown_imports().len(), unknown, "{exports}");
        }
    }

    #[test]
    fn types_that_double_are_shared_and_their_text_is_cut() {
        let levels = 15;
        let mut types = String::from("(type $t0 (tuple u8 u8))");
        for level in 1..levels {
            let below = level - 1;
            types += &format!("(type $t{level} (tuple $t{below} $t{below}))");
        }
        let last = levels - 1;
        let (imported, ..) = listed(&format!(
            r#"(component {types} (import "f" (func (param "x" $t{last}))))"#
        ));
        let [text] = &imported[..] else {
            panic!("{imported:?}");
        };
        assert!(text.contains('…') && text.len() < 3000, "{text}");
    }

    #[test]
    fn more_functions_than_there_may_be_are_none() {
        let component = |instances: usize, functions: usize, name: &str| {
            let exports: String = (0..functions)
                .map(|function| format!(r#"(export "{name}{function}" (func $f))"#))
                .collect();
            let again: String = (0..instances)
                .map(|instance| format!(r#"(export "i{instance}" (instance $i))"#))
                .collect();
            format!(r#"(component (import "f" (func $f)) (instance $i {exports}) {again})"#)
        };
        let long = format!("f{}", "o".repeat(50_000));
        for (instances, functions, name, listed_as) in [
            (9, 1000, "f", 9000),
            (11, 1000, "f", 0),
            (8, 10, &long, 80),
            (9, 10, &long, 0),
        ] {
            let (_, exported, _) = listed(&component(instances, functions, name));
            assert_eq!(exported.len(), listed_as, "{instances} {functions}");
        }
    }

    #[test]
    fn a_component_that_is_not_valid_has_no_functions() {
        let (imported, exported, _) = listed(
            r#"(component (import "f" (func $f)) (export "g" (func $f)) (export "g" (func $f)))"#,
        );
        assert!(imported.is_empty() && exported.is_empty());
    }
}
