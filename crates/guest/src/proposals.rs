//! Sets of WebAssembly proposals: what a guest uses, what an engine can do.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of WebAssembly proposals, by the names the proposals carry.
///
/// [`Guest::proposals`](crate::Guest::proposals) tells what a guest uses; an engine states what it
/// can do with the same type; [`difference`](Proposals::difference) is what is missing.
///
/// ```
/// use wasmrun_guest::Proposals;
///
/// let used = Proposals::SIMD | Proposals::THREADS | Proposals::BULK_MEMORY;
/// let missing = used.difference(Proposals::WASM2);
/// assert_eq!(missing.to_string(), "threads");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Proposals(u32);

/// One line for a proposal: its constant, its name, what it brought. The order is that of the
/// output, oldest first; a proposal's bit is its place in the list.
macro_rules! proposals {
    ($($constant:ident $name:literal $doc:literal)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Bit { $($constant),* }

        impl Proposals {
            $(
                #[doc = concat!("`", $name, "`: ", $doc)]
                pub const $constant: Proposals = Proposals(1 << Bit::$constant as u32);
            )*

            const NAMES: &'static [(Proposals, &'static str)] =
                &[$((Proposals::$constant, $name)),*];
        }
    };
}

proposals! {
    MUTABLE_GLOBAL "mutable-global" "mutable globals imported or exported."
    SIGN_EXTENSION "sign-extension" "sign-extending operators."
    SATURATING_FLOAT_TO_INT "saturating-float-to-int" "conversions that saturate, not trap."
    MULTI_VALUE "multi-value" "blocks with parameters, several results."
    BULK_MEMORY "bulk-memory" "`memory.copy`, `memory.fill`, passive segments."
    REFERENCE_TYPES "reference-types" "`externref`, references as values, several tables."
    SIMD "simd" "128-bit vectors."
    THREADS "threads" "atomic operators and shared memories."
    TAIL_CALL "tail-call" "calls that replace their caller's frame."
    EXTENDED_CONST "extended-const" "arithmetic in constant expressions."
    MULTI_MEMORY "multi-memory" "more than one memory."
    MEMORY64 "memory64" "memories and tables with 64-bit indices."
    RELAXED_SIMD "relaxed-simd" "vector operators whose results may differ between machines."
    EXCEPTIONS "exceptions" "tags, `throw`, `try_table`, `exnref`."
    LEGACY_EXCEPTIONS "legacy-exceptions" "the older `try`, `catch`, `delegate`, `rethrow`."
    FUNCTION_REFERENCES "function-references" "typed function references, `call_ref`."
    GC "gc" "structs, arrays, subtyping, casts."
    STACK_SWITCHING "stack-switching" "continuations."
    WIDE_ARITHMETIC "wide-arithmetic" "128-bit integer addition and multiplication."
    CUSTOM_PAGE_SIZES "custom-page-sizes" "memories whose page is not 64 KiB."
    SHARED_EVERYTHING_THREADS "shared-everything-threads" "shared functions, tables and objects."
    CUSTOM_DESCRIPTORS "custom-descriptors" "descriptors and exact types for `gc`."
    MEMORY_CONTROL "memory-control" "`memory.discard`."
    COMPONENT_MODEL "component-model" "components: modules with typed interfaces."
    COMPONENT_ASYNC "component-async" "async functions, streams and futures in components."
    COMPONENT_MORE_ASYNC "component-more-async" "what is to come of it: error contexts, threads, tasks that keep a stack."
}

impl Proposals {
    /// WebAssembly as it first shipped, with no proposal at all.
    pub const MVP: Proposals = Proposals(0);

    /// Every proposal in the list.
    pub const ALL: Proposals = Proposals((1 << Self::NAMES.len()) - 1);

    /// The small additions to WebAssembly 1.0 that every engine still maintained has had for years.
    pub const WASM1_PLUS: Proposals = Proposals(
        Self::MUTABLE_GLOBAL.0 | Self::SIGN_EXTENSION.0 | Self::SATURATING_FLOAT_TO_INT.0,
    );

    /// WebAssembly 2.0.
    pub const WASM2: Proposals = Proposals(
        Self::WASM1_PLUS.0
            | Self::MULTI_VALUE.0
            | Self::BULK_MEMORY.0
            | Self::REFERENCE_TYPES.0
            | Self::SIMD.0,
    );

    /// WebAssembly 3.0. Threads are not part of it.
    pub const WASM3: Proposals = Proposals(
        Self::WASM2.0
            | Self::TAIL_CALL.0
            | Self::EXTENDED_CONST.0
            | Self::MULTI_MEMORY.0
            | Self::MEMORY64.0
            | Self::RELAXED_SIMD.0
            | Self::EXCEPTIONS.0
            | Self::FUNCTION_REFERENCES.0
            | Self::GC.0,
    );

    /// Whether every proposal of `other` is in this set.
    pub const fn contains(self, other: Proposals) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together: `|` for constants.
    #[must_use]
    pub const fn union(self, other: Proposals) -> Proposals {
        Proposals(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Proposals) -> Proposals {
        Proposals(self.0 & !other.0)
    }

    /// The names in the set, oldest proposal first.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .iter()
            .filter(move |(one, _)| self.contains(*one))
            .map(|(_, name)| *name)
    }
}

impl BitOr for Proposals {
    type Output = Proposals;

    fn bitor(self, other: Proposals) -> Proposals {
        self.union(other)
    }
}

impl BitOrAssign for Proposals {
    fn bitor_assign(&mut self, other: Proposals) {
        *self = self.union(other);
    }
}

impl FromIterator<Proposals> for Proposals {
    fn from_iter<I: IntoIterator<Item = Proposals>>(sets: I) -> Proposals {
        sets.into_iter().fold(Proposals::MVP, Proposals::union)
    }
}

/// The names with commas between them: `simd, threads`. Nothing for the empty set.
impl fmt::Display for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposals({self})")
    }
}

/// A list of names.
impl Serialize for Proposals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Proposals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let proposal = |name: String| {
            let mut known = Self::NAMES.iter();
            let (proposal, _) = known
                .find(|(_, known)| *known == name)
                .ok_or_else(|| D::Error::custom(format_args!("no proposal is called {name}")))?;
            Ok(*proposal)
        };
        names.into_iter().map(proposal).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_in_the_order_of_the_proposals() {
        let used = Proposals::GC | Proposals::THREADS | Proposals::SIMD;
        let missing = used.difference(Proposals::WASM2);
        assert_eq!(missing.iter().collect::<Vec<_>>(), ["threads", "gc"]);
        assert_eq!(missing.to_string(), "threads, gc");
        assert_eq!(format!("{missing:?}"), "Proposals(threads, gc)");
    }

    #[test]
    fn each_release_of_webassembly_contains_the_one_before() {
        let releases = [
            Proposals::MVP,
            Proposals::WASM1_PLUS,
            Proposals::WASM2,
            Proposals::WASM3,
        ];
        for pair in releases.windows(2) {
            assert!(pair[1].contains(pair[0]));
            assert!(!pair[0].contains(pair[1]));
        }
        assert!(Proposals::MVP.is_empty());
    }

    #[test]
    fn a_set_serializes_as_its_names() {
        let set: Proposals = [Proposals::SIMD, Proposals::MULTI_VALUE]
            .into_iter()
            .collect();
        assert_eq!(
            serde_json::to_string(&set).expect("json"),
            r#"["multi-value","simd"]"#
        );
        for set in [set, Proposals::MVP, Proposals::ALL] {
            let json = serde_json::to_string(&set).expect("json");
            assert_eq!(serde_json::from_str::<Proposals>(&json).expect(&json), set);
        }
        assert!(serde_json::from_str::<Proposals>(r#"["nonsense"]"#).is_err());
    }
}
