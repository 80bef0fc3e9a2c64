//! The command as a file: what the system's loader is to do with it.

use object::LittleEndian;
use object::elf::{
    DF_BIND_NOW, DT_FLAGS, DT_TEXTREL, ET_DYN, FileHeader64, PF_X, PT_DYNAMIC, PT_GNU_RELRO,
    PT_GNU_STACK, PT_INTERP,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// A sandbox does not give up what the system does for programs against those who break out of them.
#[test]
fn it_goes_to_random_addresses_and_what_is_relocated_is_read_only() {
    let file = std::fs::read(env!("CARGO_BIN_EXE_wasmrun")).expect("it was built");
    let bytes = &*file;
    let header = FileHeader64::<LittleEndian>::parse(bytes).expect("an ELF file");
    assert_eq!(header.e_type(LittleEndian), ET_DYN, "position-independent");
    let segments = header
        .program_headers(LittleEndian, bytes)
        .expect("segments");
    let segment = |wanted: u32| {
        let mut found = segments
            .iter()
            .filter(|segment| segment.p_type(LittleEndian) == wanted);
        found.next()
    };
    assert!(segment(PT_INTERP).is_some(), "loaded by the system");
    assert!(segment(PT_GNU_RELRO).is_some(), "read-only once relocated");
    let stack = segment(PT_GNU_STACK).expect("it says so");
    assert_eq!(
        stack.p_flags(LittleEndian) & PF_X,
        0,
        "no code on the stack"
    );
    let dynamic = segment(PT_DYNAMIC)
        .and_then(|segment| segment.dynamic(LittleEndian, bytes).ok().flatten())
        .expect("a dynamic section");
    let value = |wanted: i64| {
        let mut found = dynamic
            .iter()
            .filter(|entry| entry.tag(LittleEndian) == wanted);
        found.next().map(|entry| entry.val(LittleEndian))
    };
    assert_eq!(value(DT_TEXTREL), None, "code stays as it is");
    // Otherwise functions are looked up at their first call, by a table that stays writable.
    let flags = value(DT_FLAGS).unwrap_or_default();
    assert_ne!(flags & u64::from(DF_BIND_NOW), 0, "bound at the start");
}
