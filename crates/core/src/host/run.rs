//! What the functions of the host have of a run.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Control, Error, ErrorKind, Outcome, Result, Trap};

/// What the functions of the host have of a run: its state, and the line on which it is told to end. An engine keeps
/// it where the guest's calls find it.
#[derive(Default)]
pub struct HostRun {
    control: Control,
    pub(super) state: Option<Box<dyn Any + Send>>,
    /// A [`Listener`], of events of some type.
    pub(super) listener: Option<Box<dyn Any + Send>>,
    /// What functions have that are a system interface.
    pub(super) system: Option<Box<dyn Any + Send>>,
    exit: Option<i32>,
    end: Option<Slot>,
}

/// What hears of events of that type.
pub(crate) type Listener<E> = Box<dyn FnMut(E) + Send>;

/// How a function of the host ended the guest, once one has. Whoever clones it sees the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<HostEnd>>>);

impl Slot {
    pub(crate) fn take(&self) -> Option<HostEnd> {
        self.end().take()
    }

    fn end(&self) -> MutexGuard<'_, Option<HostEnd>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a function of the host ended the guest.
#[derive(Debug)]
pub(crate) enum HostEnd {
    Exited(i32),
    Failed(Trap),
    Panicked(String),
}

impl HostEnd {
    /// How the guest ended.
    ///
    /// # Errors
    ///
    /// [`Host`](ErrorKind::Host) for a panic.
    pub(crate) fn outcome(self) -> Result<Outcome> {
        match self {
            HostEnd::Exited(code) => Ok(Outcome::Exited(code)),
            HostEnd::Failed(trap) => Ok(Outcome::Trapped(trap)),
            HostEnd::Panicked(message) => Err(Error::new(ErrorKind::Host, message)),
        }
    }
}

impl HostRun {
    pub(crate) fn new(
        control: &Control,
        state: Option<Box<dyn Any + Send>>,
        listener: Option<Box<dyn Any + Send>>,
        end: Slot,
    ) -> Self {
        HostRun {
            control: control.clone(),
            state,
            listener,
            system: None,
            exit: None,
            end: Some(end),
        }
    }

    /// Keeps what functions of the host have of this run that are a system interface, apart from the state of the caller's:
    /// see [`HostCall::with_system`](crate::HostCall::with_system).
    #[doc(hidden)]
    pub fn set_system(&mut self, system: impl Any + Send) {
        self.system = Some(Box::new(system));
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// The guest is to end with this code.
    pub(super) fn set_exit(&mut self, code: i32) {
        self.exit = Some(code);
    }

    pub(super) fn exit(&mut self) -> Option<i32> {
        self.exit.take()
    }

    /// The first end is the one: a guest that goes on all the same changes nothing.
    pub(super) fn end(&mut self, end: HostEnd) {
        if let Some(slot) = &self.end {
            slot.end().get_or_insert(end);
        }
    }
}

impl fmt::Debug for HostRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRun")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
