//! An instance on a runtime, whose process stays and is called through the wire.

use std::io;

use wasmrun_core::guest::{FuncSignature, ValueType, shown};
use wasmrun_core::{
    CallLimits, Control, DistantMemory, Entries, Error, ErrorKind, Guest, HostMemory, Live,
    Outcome, Result, Stats, Value,
};

use super::protocol::{Callable, MAX_ARGUMENTS, callable};
use super::serve::Served;
use super::talk::Talk;

/// An instance that stays.
pub(super) struct LiveRelay {
    /// There until the guest has ended.
    talk: Option<Talk>,
    guest: Guest,
    /// What was asked for.
    functions: Vec<Function>,
    has_memory: bool,
}

struct Function {
    number: usize,
    params: usize,
    results: usize,
}

impl LiveRelay {
    pub(super) fn new(talk: Talk, guest: &Guest) -> Self {
        LiveRelay {
            has_memory: talk.file.relayed.has_memory,
            guest: guest.clone(),
            talk: Some(talk),
            functions: Vec::new(),
        }
    }

    fn talk(&mut self) -> Result<&mut Talk> {
        self.talk.as_mut().ok_or_else(has_ended)
    }

    fn number(&self, wanted: Callable<'_>) -> Option<usize> {
        callable(&self.guest).position(|(known, _)| known == wanted)
    }

    /// Calls what gets or sets a global, which takes no fuel.
    fn global_call(
        &mut self,
        what: Callable<'_>,
        given: &[u64],
        results: &mut [u64],
    ) -> Result<()> {
        let number = self.number(what);
        let number =
            number.ok_or_else(|| Error::new(ErrorKind::Engine, "there is no such global"))?;
        let talk = self.talk()?;
        let fuel = talk.session.fuel_left();
        let served = talk.session.call(&mut talk.dialogue, number, given, fuel);
        match served {
            Ok(Served::Ready) => {
                let count = results.len();
                results.copy_from_slice(&talk.session.results()[..count]);
                Ok(())
            }
            Ok(Served::Ended(_)) => Err(has_ended()),
            Err(error) => Err(talk.launch.lost_contact(error)),
        }
    }
}

fn has_ended() -> Error {
    Error::new(ErrorKind::Ended, "the guest has ended")
}

impl Live for LiveRelay {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        let number = self.number(Callable::Function(name)).ok_or_else(|| {
            let message = format!(
                "cannot call {}: its parameters or results fill more than {} words",
                shown(name),
                MAX_ARGUMENTS - 1
            );
            Error::new(ErrorKind::Unsupported, message)
        })?;
        self.functions.push(Function {
            number,
            params: signature.param_slots(),
            results: signature.result_slots(),
        });
        Ok(self.functions.len() - 1)
    }

    fn call(
        &mut self,
        function: usize,
        slots: &mut [u64],
        CallLimits { fuel, .. }: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let Function {
            number,
            params,
            results,
        } = self.functions[function];
        let mut talk = self.talk.take().ok_or_else(has_ended)?;
        let served = talk
            .session
            .call(&mut talk.dialogue, number, &slots[..params], fuel);
        if !matches!(served, Ok(Served::Ready)) {
            return talk.outcome(served, control).map(Some);
        }
        slots[..results].copy_from_slice(&talk.session.results()[..results]);
        self.talk = Some(talk);
        Ok(None)
    }

    fn global(&mut self, name: &str, ty: ValueType) -> Result<Value> {
        let mut slots = [0; 2];
        self.global_call(Callable::Get(name), &[], &mut slots[..ty.slots()])?;
        let value = Value::all(&[ty], &slots).next();
        value.ok_or_else(|| Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let mut slots = [0; 2];
        Value::put_all([value], &mut slots);
        self.global_call(Callable::Set(name), &slots[..value.ty().slots()], &mut [])
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        if name != "memory" || !self.has_memory {
            let message = format!(
                "cannot reach the guest's memory {}: only the one called memory, if it has 32 bits",
                shown(name)
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.talk()?;
        Ok(HostMemory::Distant(self))
    }

    fn stats(&mut self) -> Stats {
        let mut stats = Stats::default();
        if let Some(talk) = &self.talk {
            stats.fuel_used = talk.session.fuel_used();
            stats.cpu = talk.launch.usage.cpu();
            stats.peak_memory = Some(talk.launch.usage.account().bytes());
        }
        stats
    }
}

/// Between calls.
impl DistantMemory for LiveRelay {
    fn size(&self) -> u64 {
        let talk = self.talk.as_ref();
        talk.map_or(0, |talk| talk.session.memory_bytes())
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        let talk = self.talk.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        talk.session.memory(&mut talk.dialogue).read(address, bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let talk = self.talk.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        talk.session
            .memory(&mut talk.dialogue)
            .write(address, bytes)
    }
}
