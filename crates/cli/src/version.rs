//! `wasmrun --version`.

use wasmrun::Engines;

/// Our version, and the engines built in with theirs, as far as no library has to be loaded for that.
pub fn text() -> String {
    let engines = Engines::new();
    let mut built_in: Vec<String> = engines
        .linked_in()
        .map(|(name, engine)| match engine {
            Ok(engine) => format!("{name} {}", engine.info().version),
            Err(_) => format!("{name} (not here)"),
        })
        .collect();
    if cfg!(feature = "wasmedge") {
        built_in.push("wasmedge by its library".into());
    }
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
