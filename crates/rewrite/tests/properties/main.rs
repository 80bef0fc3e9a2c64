//! What holds of a guest that is rewritten, whatever it is.
//!
//! The property is in a file of its own, because a fuzz target in `fuzz/` uses it too.

mod computing;

use computing::Held;

#[test]
fn a_rewritten_module_that_nobody_wrote_computes_what_it_did() {
    let mut held = Vec::new();
    for module in wasmrun_corpus::modules() {
        println!("{} (seed {})", module.name, wasmrun_corpus::SEED);
        held.push(computing::holds(module.wasm));
    }
    let count = |wanted: &[Held]| held.iter().filter(|held| wanted.contains(held)).count();
    let (rewritten, ran) = (count(&[Held::Valid, Held::Same]), count(&[Held::Same]));
    println!("{rewritten} were rewritten, {ran} of them ran to their end");
    assert!(rewritten > 1000 && ran > 200);
}
