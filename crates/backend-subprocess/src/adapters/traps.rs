//! Kinds of trap from the words for them.

use wasmrun_core::TrapKind;

/// One runtime's words for kinds of trap.
pub(super) type Words = [(&'static str, TrapKind)];

/// The phrases of the WebAssembly specification's tests, which several runtimes use.
pub(super) const SPECIFICATION: &Words = &[
    ("unreachable", TrapKind::Unreachable),
    ("out of bounds memory access", TrapKind::MemoryOutOfBounds),
    ("undefined element", TrapKind::TableOutOfBounds),
    ("out of bounds table access", TrapKind::TableOutOfBounds),
    ("uninitialized element", TrapKind::UninitializedElement),
    (
        "indirect call type mismatch",
        TrapKind::IndirectCallTypeMismatch,
    ),
    ("integer divide by zero", TrapKind::DivideByZero),
    ("integer overflow", TrapKind::IntegerOverflow),
    ("invalid conversion to integer", TrapKind::InvalidConversion),
    ("call stack exhausted", TrapKind::StackOverflow),
    ("null reference", TrapKind::NullReference),
    ("null function reference", TrapKind::NullReference),
    ("unaligned atomic", TrapKind::UnalignedAtomic),
];

/// The kind that `phrase` starts with the words for.
pub(super) fn kind(words: &Words, phrase: &str) -> Option<TrapKind> {
    words
        .iter()
        .find(|(word, _)| phrase.starts_with(word))
        .map(|(_, kind)| *kind)
}
