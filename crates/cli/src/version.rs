//! `wasmrun --version`.

use wasmrun::Engines;

/// Our version, and the engines built in with theirs.
pub fn text() -> String {
    let engines = Engines::new();
    let mut built_in: Vec<String> = engines
        .in_process()
        .map(|(name, engine)| match engine {
            Ok(engine) => format!("{name} {}", engine.info().version),
            Err(_) => format!("{name} (not here)"),
        })
        .collect();
    if cfg!(feature = "subprocess") {
        built_in.push("runtimes on PATH".into());
    }
    if built_in.is_empty() {
        built_in.push("none".into());
    }
    format!(
        "wasmrun {}\nengines: {}\n",
        env!("CARGO_PKG_VERSION"),
        built_in.join(", ")
    )
}
