//! Which versions of an interface stand for each other.

/// Where versions of interfaces stand for each other, this is the same of all: the name, with as much of the version as
/// decides, and the version, by which the newest is found. `None` for one without a version, or with one from before
/// a release, which only stands for itself.
///
/// As components are linked everywhere: 1.2.3 and 1.4.0 are compatible, 0.2.3 and 0.2.4, and no others.
pub(crate) fn compatible(interface: &str) -> Option<(String, [u64; 3])> {
    let (name, version) = interface.split_once('@')?;
    let mut parts = version.split('.').map(|part| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u64>().ok().filter(|_| is_number)
    });
    let mut next = || parts.next().flatten();
    let version = [next()?, next()?, next()?];
    let decides = match version {
        _ if parts.next().is_some() => return None,
        [0, 0, patch] => format!("0.0.{patch}"),
        [0, minor, _] => format!("0.{minor}"),
        [major, ..] => major.to_string(),
    };
    Some((format!("{name}@{decides}"), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_for_each_other_as_semantic_versioning_has_it() {
        let same = |one: &str, other: &str| {
            let one = compatible(&format!("a:b/c@{one}")).expect("a version");
            let other = compatible(&format!("a:b/c@{other}")).expect("a version");
            one.0 == other.0
        };
        assert!(same("1.0.0", "1.0.1") && same("1.0.0", "1.9.0") && same("0.2.0", "0.2.12"));
        assert!(!same("1.0.0", "2.0.0") && !same("0.2.0", "0.3.0") && !same("0.0.1", "0.0.2"));
        for none in [
            "a:b/c",
            "a:b/c@1.0",
            "a:b/c@1.0.0-rc.1",
            "a:b/c@+1.0.0",
            "a:b/c@1.0.0.0",
        ] {
            assert_eq!(compatible(none), None, "{none}");
        }
        let newer = compatible("a:b/c@1.10.0").expect("a version").1;
        assert!(newer > compatible("a:b/c@1.9.9").expect("a version").1);
    }
}
