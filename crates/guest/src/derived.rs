//! What others make of a guest, once each.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One value of each type.
#[derive(Default)]
pub(crate) struct Derived(Mutex<HashMap<TypeId, Slot>>);

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
