//! Whether the components in a component pass core modules to each other, or to the host.

use wasmparser::{
    BinaryReaderError, ComponentExternalKind, ComponentInstance, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, CoreType, InstanceTypeDeclaration, Parser, Payload,
};

/// Whether any does, or could by its type: that has to be known before anybody translates it, because the translator
/// does not know the types of all modules.
pub(crate) fn passes_modules(component: &[u8]) -> Result<bool, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(component) {
        let passes = match payload? {
            Payload::ComponentImportSection(imports) => any(imports, |import| {
                matches!(import.ty, ComponentTypeRef::Module(_))
            }),
            Payload::ComponentExportSection(exports) => any(exports, |export| {
                export.kind == ComponentExternalKind::Module
            }),
            Payload::ComponentInstanceSection(instances) => {
                any(instances, |instance| match instance {
                    ComponentInstance::Instantiate { .. } => false,
                    ComponentInstance::FromExports(exports) => exports
                        .iter()
                        .any(|export| export.kind == ComponentExternalKind::Module),
                })
            }
            Payload::CoreTypeSection(types) => any(types, |ty| is_module(&ty)),
            Payload::ComponentTypeSection(types) => any(types, |ty| names_module(&ty)),
            _ => Ok(false),
        };
        if passes? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any<T>(
    items: impl IntoIterator<Item = Result<T, BinaryReaderError>>,
    is_one: impl Fn(T) -> bool,
) -> Result<bool, BinaryReaderError> {
    for item in items {
        if is_one(item?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_module(ty: &CoreType<'_>) -> bool {
    matches!(ty, CoreType::Module(_))
}

/// Whether the type of a module is declared in a type. They do not nest deeper than a guest may.
fn names_module(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Component(declarations) => {
            declarations.iter().any(|declaration| match declaration {
                ComponentTypeDeclaration::CoreType(ty) => is_module(ty),
                ComponentTypeDeclaration::Type(ty) => names_module(ty),
                _ => false,
            })
        }
        ComponentType::Instance(declarations) => {
            declarations.iter().any(|declaration| match declaration {
                InstanceTypeDeclaration::CoreType(ty) => is_module(ty),
                InstanceTypeDeclaration::Type(ty) => names_module(ty),
                _ => false,
            })
        }
        _ => false,
    }
}
