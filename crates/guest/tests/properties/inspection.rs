//! Whatever bytes a guest has, they are inspected whole or refused in a line.

use wasmrun_guest::{Error, ErrorKind, Guest};

pub fn holds(bytes: &[u8]) {
    match Guest::from_bytes("guest", bytes) {
        Ok(guest) => {
            let told = serde_json::to_string(&guest.inspect()).expect("all of it can be told");
            let told: serde_json::Value = serde_json::from_str(&told).expect("it is JSON");
            assert_eq!(told["bytes"], guest.bytes().len());
            // Its data are written out with what lies between them, which memory is not to be spent on here.
            let range = guest.data_range().unwrap_or_default();
            if range.end - range.start <= 1 << 16
                && let Ok(Some(apart)) = guest.without_data()
            {
                let end = apart.at + apart.data.len() as u64;
                assert_eq!((apart.at, end), (range.start, range.end));
                assert_eq!(apart.binary.len(), guest.bytes().len());
                let emptied = Guest::from_bytes("emptied", apart.binary);
                let emptied = emptied.expect("as sound as before");
                assert_eq!((emptied.data_size(), emptied.data_range()), (0, None));
            }
            for entry in guest.entries() {
                assert!(guest.has_entry(&entry), "{entry:?}");
            }
            if let Err(error) = guest.validate() {
                assert_refused(&error);
            }
        }
        Err(error) => assert_refused(&error),
    }
}

fn assert_refused(error: &Error) {
    assert!(
        matches!(error.kind(), ErrorKind::NotWasm | ErrorKind::Invalid),
        "{error:?}"
    );
    let line = error.to_string();
    assert!(
        !line.is_empty() && !line.contains(char::is_control),
        "{line:?}"
    );
}
