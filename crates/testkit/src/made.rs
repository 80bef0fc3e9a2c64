//! What several trials need and one of them makes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// Values by name, each of which is made once: by who asks first, while others wait.
pub(crate) struct Made<V>(LazyLock<Mutex<HashMap<String, Arc<OnceLock<V>>>>>);

impl<V: Clone> Made<V> {
    pub(crate) const fn new() -> Self {
        Made(LazyLock::new(Mutex::default))
    }

    pub(crate) fn get(&self, name: &str, make: impl FnOnce() -> V) -> V {
        let made = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(name.to_owned()).or_default().clone()
        };
        made.get_or_init(make).clone()
    }
}
