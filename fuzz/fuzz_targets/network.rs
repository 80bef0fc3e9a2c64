//! Any text, as a rule about the network; and a port, an address and rules, in words.
#![no_main]

#[path = "../../crates/core/tests/properties/network.rs"]
mod network;

libfuzzer_sys::fuzz_target!(|text: &str| {
    network::text_holds(text);
    let mut words = text.split_whitespace();
    let port = words.next().and_then(|word| word.parse().ok());
    let address = words.next().and_then(|word| word.parse().ok());
    let (Some(port), Some(address)) = (port, address) else {
        return;
    };
    let rules: Vec<_> = words.take(8).map(str::to_owned).collect();
    network::rules_hold(&rules, address, port, "a.example");
    network::rules_hold(&rules, address, port, "localhost");
});
