//! One function of the host, as engines bind it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Trap;
use crate::guest::{FuncSignature, shown};

use super::call::HostCall;
use super::memory::HostMemory;
use super::run::{HostEnd, HostRun};
use super::typed::IntoHostFunction;

/// What a function of the host fails with.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A function whose types are gone: what it takes is in the slots, and what it returns is to be there.
pub(crate) type Body = dyn Fn(&mut HostCall<'_>, &mut [u64]) -> Result<(), Failure> + Send + Sync;

/// A function of the host. Cloning shares it.
#[derive(Clone)]
pub struct HostFunction(Arc<Inner>);

struct Inner {
    module: String,
    name: String,
    signature: FuncSignature,
    slots: usize,
    sees_guest: bool,
    reads: Option<usize>,
    other_memory: Option<String>,
    body: Box<Body>,
}

/// The guest must not go on after a call: an engine unwinds it with this, and core knows how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEnded;

impl fmt::Display for HostEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended by a function of the host")
    }
}

impl std::error::Error for HostEnded {}

impl HostFunction {
    pub(super) fn new<Marker>(
        module: &str,
        name: &str,
        function: impl IntoHostFunction<Marker>,
    ) -> Self {
        let signature = function.signature();
        HostFunction(Arc::new(Inner {
            module: module.to_owned(),
            name: name.to_owned(),
            slots: signature.param_slots().max(signature.result_slots()),
            signature,
            sees_guest: function.sees_guest(),
            reads: function.reads(),
            other_memory: function.other_memory(),
            body: function.into_body(),
        }))
    }

    /// The module it is imported from.
    pub fn module(&self) -> &str {
        &self.0.module
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its type.
    pub fn signature(&self) -> &FuncSignature {
        &self.0.signature
    }

    /// How many slots a call needs: as many as its parameters fill, or its results.
    pub fn slots(&self) -> usize {
        self.0.slots
    }

    /// Whether it may look at the guest's memory. One that does not can be [called](HostFunction::call) with none.
    pub fn sees_memory(&self) -> bool {
        self.0.sees_guest
    }

    /// Which of its parameters is the address of bytes that it reads first of all, if it reads any; the next says how
    /// many they are. Both are `i32`. Where the engine is another process, they can come with the call.
    #[doc(hidden)]
    pub fn reads(&self) -> Option<usize> {
        self.0.reads
    }

    /// The export that is the memory which a [call](HostFunction::call) is to be given, if that is not the one called
    /// `memory`.
    #[doc(hidden)]
    pub fn other_memory(&self) -> Option<&str> {
        self.0.other_memory.as_deref()
    }

    /// Lets `work` have the slots of a call, all 0.
    pub fn with_slots<R>(&self, work: impl FnOnce(&mut [u64]) -> R) -> R {
        with_slots(self.slots(), work)
    }

    /// Calls it for the guest of that run, whose memory this is. The first of the [`slots`](HostFunction::slots)
    /// are what its parameters are, and then what its results are. A value fills one, an integer of 32 bits or a
    /// float its lower half, where the upper does not matter; a vector fills two, the lower half first.
    ///
    /// # Errors
    ///
    /// The guest is to end, and the run knows why: it was interrupted, or the function failed, panicked or said
    /// so. That is for core to tell; an engine only unwinds the guest.
    pub fn call<'a>(
        &self,
        run: &'a mut HostRun,
        memory: HostMemory<'a>,
        slots: &mut [u64],
    ) -> Result<(), HostEnded> {
        attend(run, memory, self, |call| (self.0.body)(call, slots))
    }
}

/// Lets `work` have so many slots, all 0.
pub(crate) fn with_slots<R>(count: usize, work: impl FnOnce(&mut [u64]) -> R) -> R {
    // There is nothing to allocate for what most functions take, and little to clear.
    match count {
        0..=4 => work(&mut [0; 4][..count]),
        5..=24 => work(&mut [0; 24][..count]),
        _ => work(&mut vec![0; count]),
    }
}

/// Lets a function that is called so do its work, and notes how it ended the guest, if it did.
pub(super) fn attend<'a, T>(
    run: &'a mut HostRun,
    memory: HostMemory<'a>,
    name: &dyn fmt::Display,
    work: impl FnOnce(&mut HostCall<'a>) -> Result<T, Failure>,
) -> Result<T, HostEnded> {
    if run.control().interrupted().is_some() {
        return Err(HostEnded);
    }
    let mut call = HostCall::new(run, memory);
    // What a panic leaves half done is the closure's own, and the run's state, which nobody sees again.
    let called = catch_unwind(AssertUnwindSafe(|| work(&mut call)));
    let end = match called {
        Ok(Ok(result)) => match call.run().exit() {
            None => return Ok(result),
            Some(code) => HostEnd::Exited(code),
        },
        Ok(Err(failure)) => HostEnd::Failed(match failure.downcast::<Trap>() {
            Ok(trap) => *trap,
            Err(failure) => Trap::of_host(format!("{name} failed"), failure),
        }),
        Err(panic) => HostEnd::Panicked(format!("{name} panicked: {}", words(&*panic))),
    };
    call.run().end(end);
    Err(HostEnded)
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it does not say why")
}

/// `env.log`, fit for a message.
impl fmt::Display for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", shown(self.module()), shown(self.name()))
    }
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", self.signature())
    }
}
