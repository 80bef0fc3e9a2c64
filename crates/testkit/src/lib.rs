//! The behaviour suite every wasmrun engine passes, and the guests it runs.
