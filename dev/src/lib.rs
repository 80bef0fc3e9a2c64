//! Nothing: this package is about its dependencies. See its `Cargo.toml`.
