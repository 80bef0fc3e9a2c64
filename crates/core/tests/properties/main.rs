//! What holds whatever comes from outside: configs in JSON, paths, and guests that are refused.
//!
//! The properties are in files of their own, because the fuzz targets in `fuzz/` use them too.

mod any;
mod config;
mod network;
mod path;
mod refusals;

use any::{NAMES, address, any_config, rule};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun_core::RunConfig;

// ---- configs ---------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn a_config_survives_its_json(config in any_config()) {
        let json = serde_json::to_string(&config).expect("it is written");
        prop_assert_eq!(serde_json::from_str::<RunConfig>(&json).expect("it is read"), config);
        config::holds(&json);
    }

    #[test]
    fn a_config_with_an_unknown_field_is_refused(
        (config, name) in (any_config(), "[a-z_]{1,12}x"),
    ) {
        for place in ["", "/limits", "/mounts/0"] {
            let mut json = serde_json::to_value(&config).expect("it is written");
            let Some(object) = json.pointer_mut(place).and_then(|value| value.as_object_mut())
            else {
                continue;
            };
            object.insert(name.clone(), serde_json::Value::Null);
            let error = serde_json::from_value::<RunConfig>(json).expect_err("nobody knows it");
            prop_assert!(error.to_string().contains(&name), "{}", error);
        }
    }

    #[test]
    fn any_text_as_a_config_is_read_or_refused(text in "\\{[ -~]{0,100}\\}?") {
        config::holds(&text);
    }
}

// ---- the network -----------------------------------------------------------------------------------

proptest! {
    #[test]
    fn a_rule_about_the_network_survives_its_text(rule in rule()) {
        prop_assert!(rule.parse::<wasmrun_core::NetworkRule>().is_ok(), "{}", rule);
        network::text_holds(&rule);
    }

    #[test]
    fn any_text_as_a_rule_about_the_network_is_read_or_refused(
        text in prop_oneof![any::<String>(), "(deny:|allow:)?(tcp:|udp:)?[a-f0-9:.*/\\[\\]-]{0,40}"],
    ) {
        network::text_holds(&text);
    }

    #[test]
    fn what_is_denied_is_denied_and_what_nothing_covers_is_not_reached(
        rules in vec(rule(), 0..6), address in address(), port in 1..200u16, name in select(NAMES),
    ) {
        network::rules_hold(&rules, address, port, name);
    }
}

// ---- paths -----------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn a_guest_path_is_normal_or_refused(path in "[/.a-c\u{e9}\u{202e}: \0]{0,20}") {
        path::holds(&path);
    }

    #[test]
    fn any_text_as_a_guest_path_is_normal_or_refused(path in any::<String>()) {
        path::holds(&path);
    }
}

// ---- guests ----------------------------------------------------------------------------------------

/// A name in the text format, each byte written as a number.
fn quoted(name: &str) -> String {
    let bytes = name.bytes().map(|byte| format!("\\{byte:02x}"));
    format!("\"{}\"", bytes.collect::<String>())
}

proptest! {
    #[test]
    fn a_guest_of_any_names_is_refused_in_a_line(
        (module, import, export) in any::<(String, String, String)>(),
    ) {
        let text = format!(
            "(module (import {} {} (func)) (func (export {})))",
            quoted(&module), quoted(&import), quoted(&export),
        );
        refusals::hold(text.as_bytes());
    }
}
