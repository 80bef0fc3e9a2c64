//! Components that double, in each way there is: a kilobyte that stands for millions.

/// A command that doubles so many times, in text, and in which way.
pub fn components(levels: usize) -> Vec<(&'static str, String)> {
    let chain = |first: &str, next: &dyn Fn(usize) -> String| {
        let rest: String = (1..=levels).map(next).collect();
        format!("{first}{rest}")
    };
    let twice = |component: &str| format!("(instance (instantiate {component}))").repeat(2);
    let nested = (1..=levels).fold("(component $c0)".to_owned(), |inner, level| {
        format!(
            "(component $c{level} {inner} {})",
            twice(&format!("$c{}", level - 1))
        )
    });
    let last = format!("(instance (instantiate $c{levels}))");
    let siblings = chain("(component $c0)", &|level| {
        let before = level - 1;
        let twice = twice("$p");
        format!("(component $c{level} (alias outer 1 $c{before} (component $p)) {twice})")
    });
    let given = chain("(component $c0)", &|level| {
        let before = level - 1;
        let twice = twice("$q");
        format!(
            r#"(component $w{level} (import "p" (component $p))
                (component $o (alias outer 1 $p (component $q)) {twice})
                (export "o" (component $o)))
            (instance $i{level} (instantiate $w{level} (with "p" (component $c{before}))))
            (alias export $i{level} "o" (component $c{level}))"#
        )
    });
    let modules = (1..=levels).fold(
        "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned(),
        |inner, level| {
            format!(
                "(component $c{level} {inner} {})",
                twice(&format!("$c{}", level - 1))
            )
        },
    );
    let captured = chain("(component $c0)", &|level| {
        let before = level - 1;
        format!(
            "(component $c{level} (alias outer 1 $c{before} (component))
                (alias outer 1 $c{before} (component)))"
        )
    });
    let exported = chain("(instance $i0)", &|level| {
        let before = level - 1;
        format!(
            r#"(instance $i{level} (export "a" (instance $i{before})) (export "b" (instance $i{before})))"#
        )
    });
    let values = chain("(type $t0 u8)", &|level| {
        let before = level - 1;
        format!("(type $t{level} (tuple $t{before} $t{before}))")
    });
    // No type is large, but all that name it together are.
    let named = (1..=levels.min(12)).fold("(type $t0 u8)".to_owned(), |types, level| {
        format!("{types} (type $t{level} (tuple $t{0} $t{0}))", level - 1)
    }) + &format!("(type (func (param \"x\" $t{})))", levels.min(12))
        .repeat(1 << (levels / 2).min(12));
    let types = |kind: &str, item: &str| {
        chain(&format!("(type $t0 ({kind}))"), &|level| {
            let before = level - 1;
            format!(
                r#"(type $t{level} ({kind} (alias outer 1 $t{before} (type $t))
                    ({item} "a" ({kind} (type $t))) ({item} "b" ({kind} (type $t)))))"#
            )
        })
    };
    let ways = [
        ("nested components", format!("{nested}{last}")),
        ("components side by side", format!("{siblings}{last}")),
        ("components that are given others", format!("{given}{last}")),
        ("instances of modules", format!("{modules}{last}")),
        ("components that take others along", captured),
        ("exports of instances", exported),
        ("types of values", values),
        ("types named often", named),
        ("types of instances", types("instance", "export")),
        ("types of components", types("component", "import")),
    ];
    ways.into_iter()
        .map(|(way, fields)| (way, format!("(component {fields} {COMMAND})")))
        .collect()
}

const COMMAND: &str = r#"
    (core module $main (func (export "run") (result i32) (i32.const 0)))
    (core instance $main (instantiate $main))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run))"#;
