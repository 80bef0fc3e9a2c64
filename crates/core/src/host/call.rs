//! What a function of the host sees of the guest that calls it.

use std::any::{Any, type_name};
use std::fmt;
use std::time::Duration;

use crate::{Control, Interrupt};

use super::memory::{HostMemory, MemoryError};
use super::run::{HostRun, Listener};

/// A call of a function of the host: the guest's memory, and what its run was given.
///
/// Addresses are the guest's, counted in bytes from the start of the memory that it exports as `memory`; a guest
/// that exports none has one of 0 bytes. They have 64 bits here, whatever they have in the guest. What is beyond the
/// memory is an error and changes nothing. A component's memories are its own: where one calls, there are 0 bytes.
#[derive(Debug)]
pub struct HostCall<'a> {
    run: &'a mut HostRun,
    memory: HostMemory<'a>,
}

impl<'a> HostCall<'a> {
    pub(super) fn new(run: &'a mut HostRun, memory: HostMemory<'a>) -> Self {
        HostCall { run, memory }
    }

    /// Bytes that the guest's memory has now.
    pub fn memory_size(&self) -> u64 {
        self.memory.size()
    }

    /// Fills `bytes` with what is in the guest's memory at that address.
    ///
    /// # Errors
    ///
    /// Not all of it is within the memory.
    pub fn read(&mut self, address: impl Into<u64>, bytes: &mut [u8]) -> Result<(), MemoryError> {
        self.memory.read(address.into(), bytes)
    }

    /// So many bytes of the guest's memory.
    ///
    /// # Errors
    ///
    /// As for [`read`](HostCall::read).
    pub fn read_vec(
        &mut self,
        address: impl Into<u64>,
        length: impl Into<u64>,
    ) -> Result<Vec<u8>, MemoryError> {
        self.memory.read_vec(address.into(), length.into())
    }

    /// A text in the guest's memory, of so many bytes.
    ///
    /// # Errors
    ///
    /// As for [`read`](HostCall::read), and for what is not UTF-8.
    pub fn read_str(
        &mut self,
        address: impl Into<u64>,
        length: impl Into<u64>,
    ) -> Result<String, MemoryError> {
        let address = address.into();
        let bytes = self.memory.read_vec(address, length.into())?;
        String::from_utf8(bytes).map_err(|source| MemoryError::not_text(address, source))
    }

    /// Puts `bytes` into the guest's memory at that address.
    ///
    /// # Errors
    ///
    /// As for [`read`](HostCall::read).
    pub fn write(&mut self, address: impl Into<u64>, bytes: &[u8]) -> Result<(), MemoryError> {
        self.memory.write(address.into(), bytes)
    }

    /// Works on a part of the guest's memory in its place. Where the engine is another process, `work` is given a
    /// copy, which goes back if it was changed.
    ///
    /// # Errors
    ///
    /// As for [`read`](HostCall::read).
    pub fn with_bytes<R>(
        &mut self,
        address: impl Into<u64>,
        length: impl Into<u64>,
        work: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryError> {
        self.memory.with_bytes(address.into(), length.into(), work)
    }

    /// The state that [the run was given](crate::Attachments::state), of that type.
    ///
    /// # Errors
    ///
    /// It was given none, or one of another type.
    pub fn state<T: 'static>(&mut self) -> Result<&mut T, NoState> {
        let state = self.run.state.as_mut();
        let state = state.and_then(|state| state.downcast_mut());
        state.ok_or(NoState(type_name::<T>()))
    }

    /// Works on what was [kept](HostRun::set_system) of that type, and on the guest's memory at the same time. `None` if
    /// nothing was. Within `work` there is nothing, and after a panic neither.
    #[doc(hidden)]
    pub fn with_system<T: Any, R>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut T) -> R,
    ) -> Option<R> {
        let mut kept = self.run.system.take()?;
        let done = kept.downcast_mut().map(|system| work(self, system));
        self.run.system = Some(kept);
        done
    }

    /// Tells the run's [listener](crate::Attachments::listener). Whether there is one for events of that type.
    pub fn emit<E: 'static>(&mut self, event: E) -> bool {
        let listener = self.run.listener.as_mut();
        match listener.and_then(|listener| listener.downcast_mut::<Listener<E>>()) {
            Some(listener) => {
                listener(event);
                true
            }
            None => false,
        }
    }

    /// What is left of the run's time; `None` if it has no limit. In milliseconds or finer.
    pub fn time_left(&self) -> Option<Duration> {
        self.run.control().time_left()
    }

    /// Why the guest is to end, once it is. It does when the function returns; one that takes its time may look
    /// here, and return.
    pub fn interrupted(&self) -> Option<Interrupt> {
        self.run.control().interrupted()
    }

    /// Whether the guest is asked to end by itself, by [`Run::stop`](crate::Run::stop). A host may have a function by
    /// which a guest finds out.
    pub fn is_asked_to_end(&self) -> bool {
        self.run.control().is_asked_to_end()
    }

    /// Lets the guest end with this code once the function returns, whatever it returns but an error.
    pub fn exit(&mut self, code: i32) {
        self.run.set_exit(code);
    }

    pub(super) fn run(&mut self) -> &mut HostRun {
        self.run
    }

    pub(super) fn control(&self) -> Control {
        self.run.control().clone()
    }
}

/// A function of the host wanted state of a type that the run was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoState(&'static str);

impl fmt::Display for NoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the run has no state of the type {}; Attachments::state hands it over",
            self.0
        )
    }
}

impl std::error::Error for NoState {}
