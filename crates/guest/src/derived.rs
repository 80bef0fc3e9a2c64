//! What others make of a guest, once each.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::Guest;

/// Keeps what is made of guests, for guests of the same [digest](Guest::digest) later.
///
/// Whatever goes wrong with it costs time, and nothing else.
pub trait DerivedStore: Send + Sync + fmt::Debug {
    /// What was kept of this guest for this maker, if it was: what it is called, and all that what it makes depends on
    /// beside the guest.
    fn find(&self, guest: &Guest, maker: &str, identity: &[u8]) -> Option<Vec<u8>>;

    /// Keeps it.
    fn keep(&self, guest: &Guest, maker: &str, identity: &[u8], made: &[u8]);
}

/// One value of each type.
#[derive(Default)]
pub(crate) struct Derived(Mutex<HashMap<TypeId, Slot>>);

/// What is made of a guest may have its name, which a clone may change: it begins anew.
impl Clone for Derived {
    fn clone(&self) -> Self {
        Derived::default()
    }
}

/// Of its own for each, so that making one does not wait for another.
type Slot = Arc<OnceLock<Arc<dyn Any + Send + Sync>>>;

impl Derived {
    pub(crate) fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(TypeId::of::<T>()).or_default().clone()
        };
        let value = slot.get_or_init(|| Arc::new(make()));
        let Ok(value) = value.clone().downcast() else {
            unreachable!("it is found by its type");
        };
        value
    }
}
