//! What is changed in a guest before wasmi sees it.

use std::borrow::Cow;

use wasm_encoder::{Encode, ExportKind, Function, Module, SectionId};
use wasmrun_core::{Guest, Result};
use wasmrun_rewrite::{Parts, Rewriter, raw};

/// The guest with its start function as an [export](Guest::start_export), and so that it can be paused if it is to
/// be `interruptible`.
///
/// wasmi runs a start function in one go: it could not be given fuel by slices. And where fuel runs out in a
/// `table.grow`, wasmi 2.0 does not go on there, but from where the function was noted to be last: behind a call,
/// for example. So there is a call right before each.
pub(crate) fn rewritten(guest: &Guest, interruptible: bool) -> Result<Cow<'_, [u8]>> {
    if interruptible && guest.grows_tables() {
        return pausable(guest).map(Cow::Owned);
    }
    let exported = guest.start_as_export()?;
    Ok(exported.map_or(guest.bytes().into(), |(module, _)| module.into()))
}

fn pausable(guest: &Guest) -> Result<Vec<u8>> {
    let parts = Parts::of(guest)?;
    let mut own = Rewriter::new(&parts, 0);
    let mut nothing = Function::new([]);
    nothing.instructions().end();
    own.before_table_grow = Some(own.helper([], [], nothing));
    let bodies = own.bodies()?;
    let start = guest.start_export().zip(parts.start).map(|(name, start)| {
        let mut export = Vec::new();
        name.encode(&mut export);
        ExportKind::Func.encode(&mut export);
        own.number(start).encode(&mut export);
        export
    });
    let exports = own.export_section(start.as_deref().into_iter())?;

    let mut module = Module::new();
    raw(&mut module, SectionId::Type, &own.type_section());
    own.copied(&mut module, SectionId::Import)?;
    raw(
        &mut module,
        SectionId::Function,
        &own.function_section(&[])?,
    );
    for section in [
        SectionId::Table,
        SectionId::Memory,
        SectionId::Tag,
        SectionId::Global,
    ] {
        own.copied(&mut module, section)?;
    }
    raw(&mut module, SectionId::Export, &exports);
    own.copied(&mut module, SectionId::Element)?;
    own.copied(&mut module, SectionId::DataCount)?;
    raw(
        &mut module,
        SectionId::Code,
        &own.code_section([].into_iter(), &bodies),
    );
    own.copied(&mut module, SectionId::Data)?;
    Ok(module.finish())
}
