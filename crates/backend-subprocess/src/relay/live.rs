//! An instance on a runtime, whose process stays and is called through the wire.

use std::io;

use wasmrun_core::guest::{FuncSignature, shown};
use wasmrun_core::{
    CallLimits, Control, DistantMemory, Error, ErrorKind, Guest, HostMemory, Live, Outcome, Result,
    Stats,
};

use super::protocol::{MAX_ARGUMENTS, callable};
use super::serve::Served;
use super::talk::Talk;

/// An instance that stays.
pub(super) struct LiveRelay {
    /// There until the guest has ended.
    talk: Option<Talk>,
    /// The names of what can be called, by their numbers.
    names: Vec<String>,
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
            names: callable(guest).map(|(name, _)| name.to_owned()).collect(),
            talk: Some(talk),
            functions: Vec::new(),
        }
    }

    fn talk(&mut self) -> Result<&mut Talk> {
        let talk = self.talk.as_mut();
        talk.ok_or_else(|| Error::new(ErrorKind::Ended, "the guest has ended"))
    }
}

impl Live for LiveRelay {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        let number = self.names.iter().position(|known| known == name);
        let number = number.ok_or_else(|| {
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
        let Talk {
            session, dialogue, ..
        } = self.talk()?;
        let served = session.call(dialogue, number, &slots[..params], fuel);
        match (served, self.talk.take()) {
            (Ok(Served::Ready), Some(talk)) => {
                slots[..results].copy_from_slice(&talk.session.results()[..results]);
                self.talk = Some(talk);
                Ok(None)
            }
            (served, Some(talk)) => talk.outcome(served, control).map(Some),
            (_, None) => Err(Error::new(ErrorKind::Ended, "the guest has ended")),
        }
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
            stats.peak_memory = Some(talk.session.peak);
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
