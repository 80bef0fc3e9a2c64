//! Exceptions that a guest keeps.

use wasmer::sys::wasmparser::{Parser, Payload, RefType, ValType};
use wasmrun_core::{Error, ErrorKind, Guest, Proposals, Result};

/// Refuses tables and globals of exceptions: wasmer cannot make the ones, and mistakes the size of the others.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported), by what the guest has.
pub(crate) fn refuse_kept(guest: &Guest) -> Result<()> {
    if !guest.proposals().contains(Proposals::EXCEPTIONS) {
        return Ok(());
    }
    // What cannot be read is for wasmer to refuse.
    for payload in Parser::new(0)
        .parse_all(guest.bytes())
        .map_while(Result::ok)
    {
        let has = match payload {
            Payload::TableSection(tables) => tables
                .into_iter()
                .flatten()
                .any(|table| is_exception(table.ty.element_type))
                .then_some("table"),
            Payload::GlobalSection(globals) => globals
                .into_iter()
                .flatten()
                .any(
                    |global| matches!(global.ty.content_type, ValType::Ref(ty) if is_exception(ty)),
                )
                .then_some("global"),
            Payload::CodeSectionStart { .. } => break,
            _ => None,
        };
        if let Some(what) = has {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot make a {what} of exceptions, which the guest has"),
            ));
        }
    }
    Ok(())
}

fn is_exception(ty: RefType) -> bool {
    ty == RefType::EXNREF || ty == RefType::EXN
}
