//! What a guest declares: imports, exports, memories, tables.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shown::shown;

/// One thing the guest asks its host for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The module it is imported from; for a component, the whole name of the import
    /// (`wasi:cli/exit@0.2.0`).
    pub module: String,
    /// Its name in that module; empty for a component.
    pub name: String,
    /// What it is.
    pub kind: ImportKind,
}

/// `env.log`, or `my:host/log@1.0.0` for a component; fit for a message.
impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.module))?;
        if self.kind.is_core() {
            write!(f, ".{}", shown(&self.name))?;
        }
        Ok(())
    }
}

/// What an import is. The first five are of core modules, the others of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImportKind {
    /// A function.
    Function,
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global.
    Global,
    /// An exception tag.
    Tag,
    /// An instance: an interface with all its functions and types.
    Instance,
    /// A function of the component model.
    ComponentFunction,
    /// A core module.
    Module,
    /// A component.
    Component,
    /// A type or resource.
    Type,
    /// A value.
    Value,
}

impl ImportKind {
    pub(crate) const fn is_core(self) -> bool {
        use ImportKind::{Function, Global, Memory, Table, Tag};
        matches!(self, Function | Table | Memory | Global | Tag)
    }
}

/// One thing the guest offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its name, as the guest wrote it; use [`shown`] in messages.
    pub name: String,
    /// What it is.
    pub kind: ExportKind,
}

impl Export {
    /// Whether it can be called without arguments and leaves no result: what an entry must be.
    pub fn is_entry(&self) -> bool {
        matches!(&self.kind, ExportKind::Function(signature) if signature.is_empty())
    }
}

/// What an export is. The first five are of core modules, the others of components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExportKind {
    /// A function and its type.
    Function(Arc<FuncSignature>),
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global and its type.
    Global(GlobalDecl),
    /// An exception tag.
    Tag,
    /// An instance: an interface with all its functions and types.
    Instance,
    /// A function of the component model.
    ComponentFunction,
    /// A core module.
    Module,
    /// A component.
    Component,
    /// A type or resource.
    Type,
    /// A value.
    Value,
}

/// The type of a core function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FuncSignature {
    /// What it takes.
    pub params: Vec<ValueType>,
    /// What it gives back.
    pub results: Vec<ValueType>,
}

impl FuncSignature {
    /// How many [slots](ValueType::slots) its parameters fill.
    pub fn param_slots(&self) -> usize {
        self.params.iter().map(|ty| ty.slots()).sum()
    }

    /// How many [slots](ValueType::slots) its results fill.
    pub fn result_slots(&self) -> usize {
        self.results.iter().map(|ty| ty.slots()).sum()
    }

    /// Whether a parameter or a result is of that type.
    pub fn has(&self, ty: ValueType) -> bool {
        self.params.contains(&ty) || self.results.contains(&ty)
    }

    /// Neither parameters nor results.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty() && self.results.is_empty()
    }
}

/// `(i32, i64) -> (f32)`.
impl fmt::Display for FuncSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValueType]| {
            let names: Vec<_> = types.iter().map(|ty| ty.as_str()).collect();
            names.join(", ")
        };
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// The type of a core value, as far as a caller from outside needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector.
    V128,
    /// A reference of any kind.
    Reference,
}

impl ValueType {
    /// How many slots of 64 bits a value fills: one, but a vector two.
    pub const fn slots(self) -> usize {
        match self {
            ValueType::V128 => 2,
            _ => 1,
        }
    }

    /// Its name in the text format; `ref` for every reference.
    pub const fn as_str(self) -> &'static str {
        match self {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::V128 => "v128",
            ValueType::Reference => "ref",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ValueType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ValueType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use ValueType::{F32, F64, I32, I64, Reference, V128};
        let name = String::deserialize(deserializer)?;
        [I32, I64, F32, F64, V128, Reference]
            .into_iter()
            .find(|ty| ty.as_str() == name)
            .ok_or_else(|| D::Error::custom(format_args!("no value type is called {name}")))
    }
}

/// A global the guest exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalDecl {
    /// What it holds.
    pub ty: ValueType,
    /// It can be set.
    pub mutable: bool,
}

/// A memory the guest declares or imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDecl {
    /// The host makes it, not the guest.
    pub imported: bool,
    /// Its size at the start.
    pub initial_bytes: u64,
    /// How far it may grow, where the guest says so.
    pub maximum_bytes: Option<u64>,
    /// Threads may share it.
    pub shared: bool,
    /// Its addresses have 64 bits.
    pub memory64: bool,
}

/// A table the guest declares or imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDecl {
    /// The host makes it, not the guest.
    pub imported: bool,
    /// Its elements at the start.
    pub initial: u64,
    /// How many it may grow to, where the guest says so.
    pub maximum: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_shows_as_module_and_name_on_one_line() {
        let core = Import {
            module: "env".to_owned(),
            name: "a\nb".to_owned(),
            kind: ImportKind::Function,
        };
        assert_eq!(core.to_string(), r"env.a\nb");
        let component = Import {
            module: "my:host/log@1.0.0".to_owned(),
            name: String::new(),
            kind: ImportKind::Instance,
        };
        assert_eq!(component.to_string(), "my:host/log@1.0.0");
    }

    #[test]
    fn a_signature_reads_like_one() {
        let signature = FuncSignature {
            params: vec![ValueType::I32, ValueType::Reference],
            results: vec![ValueType::F64],
        };
        assert_eq!(signature.to_string(), "(i32, ref) -> (f64)");
        assert_eq!(FuncSignature::default().to_string(), "() -> ()");
    }
}
