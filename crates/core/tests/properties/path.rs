//! Whatever is given for a guest path, it is refused or becomes a path that leads nowhere else.

use wasmrun_core::{ErrorKind, guest_path};

pub fn holds(path: &str) {
    let normal = match guest_path::normalise(path) {
        Ok(normal) => normal,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains(['\n', '\0']), "{error}");
            // Only what leads up, or could be no path at all, is refused.
            assert!(path.is_empty() || path.contains('\0') || path.contains(".."));
            return;
        }
    };
    assert_eq!(
        guest_path::normalise(&normal).expect("it is normal"),
        normal
    );
    assert_eq!(normal.starts_with('/'), path.starts_with('/'));
    if normal == "/" || normal == "." {
        return;
    }
    let inner = normal.strip_prefix('/').unwrap_or(&normal);
    for part in inner.split('/') {
        assert!(
            !["", ".", ".."].contains(&part),
            "{path:?} became {normal:?}"
        );
        assert!(
            path.split('/').any(|given| given == part),
            "{part:?} of {path:?}"
        );
    }
}
