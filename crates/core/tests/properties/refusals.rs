//! Whatever a guest needs, an engine runs it or refuses it in a line.

use wasmrun_core::{Capability, Guest, RunConfig, check};

pub fn hold(bytes: &[u8]) {
    let Ok(guest) = Guest::from_bytes("guest", bytes) else {
        return;
    };
    for capability in [Capability::EVERYTHING, Capability::default()] {
        for refusal in check::refusals(&capability, &guest, &RunConfig::new()) {
            let reason = refusal.reason;
            assert!(
                !reason.is_empty() && !reason.contains(char::is_control),
                "{reason:?}"
            );
        }
    }
}
