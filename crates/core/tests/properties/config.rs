//! Whatever text is given for a config, it is refused or means one config.

use wasmrun_core::RunConfig;

pub fn holds(text: &str) {
    if let Ok(config) = serde_json::from_str::<RunConfig>(text) {
        let json = serde_json::to_string(&config).expect("what was read can be written");
        let again: RunConfig = serde_json::from_str(&json).expect("what was written can be read");
        assert_eq!(again, config);
    }
}
