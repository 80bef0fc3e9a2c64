//! What a guest imports: functions of WASI, and of the host.

use wasmrun_core::guest::{Import, ImportKind, ValueType};
use wasmrun_core::{Error, ErrorKind, Guest, HostFunction, HostFunctions, HostMemory, Result};
use wiggle::GuestMemory;

use crate::functions::{Function, find};
use crate::{Stop, Wasi};

/// A function that a guest imports.
#[derive(Debug, Clone)]
pub enum Imported {
    /// Of WASI.
    Wasi(&'static Function),
    /// Of the host.
    Host(HostFunction),
}

/// The functions that a module imports, in the order of its imports: of the host where it has them, otherwise of WASI.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported), by the name of the first import that is none of them, or has another
/// type. Types are known of guests that are [read](Guest::is_read); another was checked when it was compiled.
pub fn imported(guest: &Guest, host: &HostFunctions) -> Result<Vec<Imported>> {
    let imports = guest.imports().iter().enumerate();
    let function = |(place, import): (usize, &Import)| {
        if let Some(function) = host.of_import(import) {
            return Ok(Imported::Host(function.clone()));
        }
        let refuse = |why| {
            let message =
                format!("the guest imports {import}, which WASI preview1 does not have{why}");
            Error::new(ErrorKind::Unsupported, message)
        };
        let function = find(&import.module, &import.name)
            .filter(|_| import.kind == ImportKind::Function)
            .ok_or_else(|| refuse(""))?;
        match guest.import_type(place) {
            Some(ty) if !function.is_of(ty) => Err(refuse(" with that type")),
            _ => Ok(Imported::Wasi(function)),
        }
    };
    imports.map(function).collect()
}

impl Imported {
    /// The module it is imported from.
    pub fn module(&self) -> &str {
        match self {
            Imported::Wasi(function) => function.module,
            Imported::Host(function) => function.module(),
        }
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        match self {
            Imported::Wasi(function) => function.name,
            Imported::Host(function) => function.name(),
        }
    }

    /// What it takes.
    pub fn params(&self) -> &[ValueType] {
        match self {
            Imported::Wasi(function) => function.params,
            Imported::Host(function) => &function.signature().params,
        }
    }

    /// What it gives back.
    pub fn results(&self) -> &[ValueType] {
        match self {
            Imported::Wasi(function) => function.result.as_slice(),
            Imported::Host(function) => &function.signature().results,
        }
    }

    /// The export that is the memory which a call is to be given, if that is not the one called `memory`.
    pub fn other_memory(&self) -> Option<&str> {
        match self {
            Imported::Wasi(_) => None,
            Imported::Host(function) => function.other_memory(),
        }
    }

    /// The function of WASI, if it is one.
    pub fn wasi(&self) -> Option<&'static Function> {
        match self {
            Imported::Wasi(function) => Some(function),
            Imported::Host(_) => None,
        }
    }

    /// Calls it with the parameters in the first of these slots, and leaves its results there: see
    /// [`HostFunction::call`].
    ///
    /// # Errors
    ///
    /// The guest is to end.
    pub fn call(&self, wasi: &mut Wasi, memory: &mut [u8], slots: &mut [u64]) -> Result<(), Stop> {
        match self {
            Imported::Wasi(function) => {
                let memory = &mut GuestMemory::Unshared(memory);
                let errno = (function.call)(wasi, memory, &slots[..function.params.len()])?;
                if let (Some(slot), Some(errno)) = (slots.first_mut(), errno) {
                    *slot = errno.cast_unsigned().into();
                }
                Ok(())
            }
            Imported::Host(function) => {
                Ok(function.call(wasi.host(), HostMemory::Bytes(memory), slots)?)
            }
        }
    }

    /// Lets `work` have the slots of a call, all 0: as many as its parameters fill, or its results.
    pub fn with_slots<R>(&self, work: impl FnOnce(&mut [u64]) -> R) -> R {
        match self {
            Imported::Wasi(function) => work(&mut [0; MOST][..function.params.len().max(1)]),
            Imported::Host(function) => function.with_slots(work),
        }
    }
}

/// As many parameters as a function of WASI has.
const MOST: usize = 9;
