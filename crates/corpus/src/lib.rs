//! WebAssembly modules and components nobody wrote: valid ones full of odd things, invalid ones, and
//! programs that were changed until they may or may not work.
//!
//! The corpus is generated when this package is built, and the same each time. For another one set
//! `WASMRUN_CORPUS_SEED` to a number.

/// The number the corpus follows from.
pub const SEED: &str = env!("WASMRUN_CORPUS_SEED");

/// A module or component of the corpus.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Where it comes from.
    pub name: &'static str,
    /// Its bytes.
    pub wasm: &'static [u8],
}

/// All modules, always in the same order.
pub fn modules() -> impl Iterator<Item = Module> {
    let mut rest: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/corpus"));
    std::iter::from_fn(move || {
        Some(Module {
            name: std::str::from_utf8(part(&mut rest)?).ok()?,
            wasm: part(&mut rest)?,
        })
    })
}

/// What comes next in the file: its length, and as many bytes.
fn part(rest: &mut &'static [u8]) -> Option<&'static [u8]> {
    let (length, more) = rest.split_first_chunk()?;
    let (part, more) = more.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = more;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_read_whole() {
        let modules: Vec<_> = modules().collect();
        assert_eq!(modules.len(), 1654);
        assert!(
            modules
                .iter()
                .all(|module| module.wasm.starts_with(b"\0asm"))
        );
    }
}
