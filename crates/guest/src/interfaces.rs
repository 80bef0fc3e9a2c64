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
use crate::wit::{ComponentFunction, ComponentSignature, ComponentType, ResourceType};

/// The functions of a component.
#[derive(Default)]
pub(crate) struct Interfaces {
    pub(crate) exported: Vec<ComponentFunction>,
    /// Those that are not WASI's.
    pub(crate) imported: Vec<ComponentFunction>,
    /// Resources that it imports from interfaces that are not WASI's: the interface, and the name there.
    pub(crate) imported_resources: Vec<(String, String)>,
    /// Types, and interfaces of nothing else, which nobody needs to have for a component that imports them.
    pub(crate) only_types: Vec<String>,
}

/// Reads a component. One that is not valid has no functions; its engine tells what is wrong with it.
pub(crate) fn read(wasm: &[u8], imports: &[Import], exports: &[Export]) -> Interfaces {
    let mut read = Interfaces::default();
    let Some(types) = types(wasm) else {
        return read;
    };
    let mut reader = Reader {
        types: &types,
        known: HashMap::new(),
        signatures: HashMap::new(),
        resources: HashMap::new(),
        opaque: HashSet::new(),
        is_opaque: false,
    };
    let item_of = |import: &Import| types.component_item_for_import(&import.module);
    let imported = imports
        .iter()
        .filter_map(|import| Some((import, item_of(import)?.ty)));
    let exported = exports.iter().filter_map(|export| {
        let item = types.component_item_for_export(&export.name)?;
        Some((&*export.name, item.ty))
    });
    let names = imported.clone().map(|(import, ty)| (&*import.module, ty));
    for (name, ty) in names.chain(exported.clone()) {
        reader.name_resources(name, ty);
    }
    for (import, ty) in imported {
        if !wasi::defines_for_component(import) {
            let resources = reader.own_resources(&import.module, ty);
            if resources.is_empty() && reader.is_only_types(ty) {
                read.only_types.push(import.module.clone());
            }
            read.imported_resources.extend(resources);
            reader.functions(&import.module, ty, &mut read.imported);
        }
    }
    for (name, ty) in exported {
        reader.functions(name, ty, &mut read.exported);
    }
    read
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

struct Reader<'a> {
    types: &'a Types,
    /// What was read is shared: a type that has another twice, and so on, doubles when it is written out.
    known: HashMap<ComponentDefinedTypeId, ComponentType>,
    signatures: HashMap<ComponentFuncTypeId, Arc<ComponentSignature>>,
    /// Those that have names, and what they were first imported or exported by.
    resources: HashMap<ResourceId, (ResourceType, String)>,
    /// Types with something in them that cannot be written down.
    opaque: HashSet<ComponentDefinedTypeId>,
    /// Something like that was seen.
    is_opaque: bool,
}

impl Reader<'_> {
    fn name_resources(&mut self, name: &str, ty: ComponentEntityType) {
        for (resource, id) in self.resources_of(name, ty) {
            let number = self.resources.len();
            let new = || {
                let ty = ResourceType {
                    name: resource.into(),
                    number,
                };
                (ty, name.to_owned())
            };
            self.resources.entry(id).or_insert_with(new);
        }
    }

    /// The resources among what is imported or exported by that name.
    fn resources_of(&self, name: &str, ty: ComponentEntityType) -> Vec<(String, ResourceId)> {
        let resource = |name: &str, ty: ComponentEntityType| match ty {
            ComponentEntityType::Type {
                created: ComponentAnyTypeId::Resource(id),
                ..
            } => Some((name.to_owned(), id.resource())),
            _ => None,
        };
        match ty {
            ComponentEntityType::Instance(id) => {
                let exports = self.types[id].exports.iter();
                exports
                    .filter_map(|(name, item)| resource(name, item.ty))
                    .collect()
            }
            ty => resource(name, ty).into_iter().collect(),
        }
    }

    /// Of these, the ones that it did not have from another before.
    fn own_resources(&self, name: &str, ty: ComponentEntityType) -> Vec<(String, String)> {
        let is_own = |id: &ResourceId| self.resources.get(id).is_some_and(|(_, of)| of == name);
        let mut resources = self.resources_of(name, ty);
        resources.retain(|(_, id)| is_own(id));
        let resources = resources.into_iter();
        resources
            .map(|(resource, _)| (name.to_owned(), resource))
            .collect()
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

    /// The functions of what is imported or exported by that name.
    fn functions(
        &mut self,
        name: &str,
        ty: ComponentEntityType,
        functions: &mut Vec<ComponentFunction>,
    ) {
        match ty {
            ComponentEntityType::Func(id) => functions.push(ComponentFunction {
                interface: "".into(),
                name: name.into(),
                signature: self.signature(id),
            }),
            ComponentEntityType::Instance(id) => {
                let interface: Arc<str> = name.into();
                for (name, item) in &self.types[id].exports {
                    if let ComponentEntityType::Func(id) = item.ty {
                        functions.push(ComponentFunction {
                            interface: interface.clone(),
                            name: name.as_str().into(),
                            signature: self.signature(id),
                        });
                    }
                }
            }
            _ => {}
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
                let resource = self.resource(id.resource());
                self.opaque(ComponentType::Own(resource))
            }
            D::Borrow(id) => {
                let resource = self.resource(id.resource());
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

    fn resource(&mut self, id: ResourceId) -> ResourceType {
        let number = self.resources.len();
        let unnamed = || {
            let name = "resource".into();
            (ResourceType { name, number }, String::new())
        };
        let (ty, _) = self.resources.entry(id).or_insert_with(unnamed);
        ty.clone()
    }
}

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
    fn a_component_that_is_not_valid_has_no_functions() {
        let (imported, exported, _) = listed(
            r#"(component (import "f" (func $f)) (export "g" (func $f)) (export "g" (func $f)))"#,
        );
        assert!(imported.is_empty() && exported.is_empty());
    }
}
