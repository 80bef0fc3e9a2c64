//! A guest that stays, and is called.

mod component;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::engine::{CallLimits, Instantiated, Live};
use crate::guest::{ExportKind, FuncSignature, GlobalDecl, ValueType, nearest, shown};
use crate::host::{Slot, with_slots};
use crate::program::{Prepared, ended_from_outside, exceeds, guest_thread, no_thread};
use crate::run::{logged, panicked};
use crate::task::Streams;
use crate::{
    Attachments, Captured, Control, Denials, Denied, Error, ErrorKind, GuestKind, HostMemory,
    HostValues, Killer, Layer, Layers, LogLine, MemoryError, Outcome, Program, Request, Result,
    RunConfig, Stats, Stdin, Stdout, Value,
};

pub use component::component_function;

/// An instance of a guest: it stays, with its memory and its globals, and its functions are called as often as one
/// likes.
///
/// Its start function and its `_initialize`, if it has them, have run. Limits on memory, tables and output hold for the
/// instance; those on fuel and time for making it, and for each call.
///
/// Once a call does not return, because the guest trapped, exited, or was ended, the instance has ended, on every
/// engine: further calls are an error of the kind [`Ended`](ErrorKind::Ended), until [`reset`](Instance::reset).
///
/// It can be sent to another thread, and many of one program run at the same time.
///
/// ```no_run
/// use wasmrun_core::{Called, Program, Request, RunConfig};
/// # fn example(engine: std::sync::Arc<dyn wasmrun_core::Engine>, guest: wasmrun_core::Guest) -> wasmrun_core::Result<()> {
/// let config = RunConfig::new();
/// let program = Program::compile(engine, &guest, Request::from(&config).live())?;
/// let mut instance = program.instantiate(&config)?;
/// let add = instance.typed::<(i32, i32), i32>("add")?;
/// match add.call(&mut instance, (1, 2))? {
///     Called::Returned(sum) => println!("{sum}"),
///     Called::Ended(outcome) => println!("the guest {outcome}"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Instance {
    program: Program,
    config: RunConfig,
    control: Control,
    life: Life,
    /// The functions that were asked for, with their numbers in this life's instance.
    functions: Vec<Function>,
    by_name: HashMap<Arc<str>, usize>,
    of_component: component::Functions,
    streams: Streams,
    layers: Layers,
    denials: Denials,
    host_end: Option<Slot>,
    /// The time of a call, unless that of all ran before.
    timeout: Option<Duration>,
}

enum Life {
    Lives(Box<dyn Live>),
    Ended(Outcome),
    /// A call could not be observed to its end, or a reset failed.
    Lost,
}

struct Function {
    name: Arc<str>,
    signature: FuncSignature,
    number: Option<usize>,
}

/// What comes of a call: what the function returned or, where it did not, how the guest ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Called<R> {
    /// The function returned this.
    Returned(R),
    /// It did not: the guest ended like this, and with it the instance.
    Ended(Outcome),
}

impl<R> Called<R> {
    /// What the function returned.
    ///
    /// # Errors
    ///
    /// How the guest ended.
    pub fn returned(self) -> Result<R, Outcome> {
        match self {
            Called::Returned(results) => Ok(results),
            Called::Ended(outcome) => Err(outcome),
        }
    }

    fn map<T>(self, with: impl FnOnce(R) -> T) -> Called<T> {
        match self {
            Called::Returned(results) => Called::Returned(with(results)),
            Called::Ended(outcome) => Called::Ended(outcome),
        }
    }
}

/// How a guest ended whose instance is asked for something: the [source](std::error::Error::source) of an error of the
/// kind [`Ended`](ErrorKind::Ended).
#[derive(Debug, Clone)]
pub struct GuestEnded(
    /// How it ended.
    pub Outcome,
);

impl fmt::Display for GuestEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest {}", self.0)
    }
}

impl std::error::Error for GuestEnded {}

impl Program {
    /// Makes an instance, of a program that was compiled for that: see [`Request::live`].
    ///
    /// # Errors
    ///
    /// As for [`run`](Program::run). [`Ended`](ErrorKind::Ended) if the guest ended by its start function or its
    /// `_initialize`, or never began because it starts out with more memory than it may have; [`GuestEnded`] is the
    /// source.
    pub fn instantiate(&self, config: &RunConfig) -> Result<Instance> {
        self.instantiate_with(config, Attachments::new())
    }

    /// As [`instantiate`](Program::instantiate), with what the instance is handed beside its config.
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Program::instantiate).
    pub fn instantiate_with(
        &self,
        config: &RunConfig,
        attachments: Attachments,
    ) -> Result<Instance> {
        let had_time = attachments.control.as_ref().is_some_and(Control::has_time);
        let timeout = config.limits.timeout.filter(|_| !had_time);
        let instance = Instance {
            timeout,
            ..begin(self, config, attachments)?
        };
        if timeout.is_some() {
            instance.control.stop_time();
        }
        match instance.life {
            Life::Ended(outcome) => {
                Err(self.named(gone(&outcome, "ended before there was an instance")))
            }
            Life::Lives(_) | Life::Lost => Ok(instance),
        }
    }
}

fn gone(outcome: &Outcome, what: &str) -> Error {
    let source = GuestEnded(outcome.clone());
    Error::new(ErrorKind::Ended, format!("the guest {what}: it {outcome}")).with_source(source)
}

impl Life {
    fn live(&mut self) -> Result<&mut dyn Live> {
        match self {
            Life::Lives(live) => Ok(&mut **live),
            Life::Ended(outcome) => Err(gone(outcome, "has ended")),
            Life::Lost => Err(Error::new(
                ErrorKind::Ended,
                "the instance failed in a call or a reset before; reset it",
            )),
        }
    }
}

/// Makes an instance, alive or not, whose calls have no time of their own.
fn begin(program: &Program, config: &RunConfig, attachments: Attachments) -> Result<Instance> {
    if config.stdin == Stdin::Pipe || config.stdout == Stdout::Pipe || config.stderr == Stdout::Pipe
    {
        return Err(program.named(Error::new(
            ErrorKind::Config,
            "a stream is a pipe, which an instance has none of; capture it, or give it a file",
        )));
    }
    let Prepared {
        task,
        streams,
        // What is written goes on its way without being waited for.
        drains: _,
        control,
        host_end,
    } = program.prepare(Request::from(config).live(), attachments)?;
    let (layers, denials) = (task.layers.clone(), task.denials.clone());
    let life = if let Some(reason) = control.interrupted() {
        Life::Ended(reason.outcome())
    } else if exceeds(program.guest(), &task.limits) {
        Life::Ended(Outcome::OutOfMemory)
    } else {
        let made = with_stack(program, config, || {
            program.code().instantiate(task, &control)
        })?;
        match (ended_from_outside(&control, host_end.as_ref()), made) {
            (Some(Ok(outcome)), _) | (None, Ok(Instantiated::Ended(outcome))) => {
                Life::Ended(outcome)
            }
            (None, Ok(Instantiated::Live(live))) => Life::Lives(live),
            (Some(Err(error)), _) | (None, Err(error)) => {
                return Err(program.named(error).with_operation("instantiate"));
            }
        }
    };
    Ok(Instance {
        program: program.clone(),
        config: config.clone(),
        control,
        life,
        functions: Vec::new(),
        by_name: HashMap::new(),
        of_component: component::Functions::default(),
        streams,
        layers,
        denials,
        host_end,
        timeout: None,
    })
}

/// Does `work` on a thread with the stack that was asked for, if one was: the caller's may be smaller.
fn with_stack<T: Send>(
    program: &Program,
    config: &RunConfig,
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    let Some(stack) = config.limits.stack else {
        return Ok(work());
    };
    thread::scope(|scope| {
        guest_thread(Some(stack))
            .spawn_scoped(scope, work)
            .map_err(|source| program.named(no_thread(source)))?
            .join()
            .map_err(|_| program.named(panicked()))
    })
}

impl Instance {
    /// The program that this is an instance of.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How the guest ended, if it has.
    pub fn ended(&self) -> Option<&Outcome> {
        match &self.life {
            Life::Lives(_) | Life::Lost => None,
            Life::Ended(outcome) => Some(outcome),
        }
    }

    /// Calls the function that the guest exports by that name.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is no such function, or it takes other values: the message has its
    /// type, or the nearest name. [`Ended`](ErrorKind::Ended) if the guest had ended before. Otherwise what kept it
    /// from being observed.
    pub fn call(&mut self, name: &str, params: &[Value]) -> Result<Called<Vec<Value>>> {
        let function = self.function(name)?;
        let signature = &self.functions[function].signature;
        if !params
            .iter()
            .map(Value::ty)
            .eq(signature.params.iter().copied())
        {
            let given = FuncSignature {
                params: params.iter().map(Value::ty).collect(),
                results: signature.results.clone(),
            };
            return Err(self.of_another_type(name, signature, &given));
        }
        let count = signature.param_slots().max(signature.result_slots());
        with_slots(count, |slots| {
            Value::put_all(params.iter().copied(), slots);
            let called = self.invoke(function, slots)?;
            let results = &self.functions[function].signature.results;
            Ok(called.map(|()| Value::all(results, slots).collect()))
        })
    }

    /// The function that the guest exports by that name, to be called with values of Rust's own.
    ///
    /// # Errors
    ///
    /// As for [`call`](Instance::call).
    pub fn typed<P: HostValues, R: HostValues>(
        &mut self,
        name: &str,
    ) -> Result<TypedFunction<P, R>> {
        let function = self.function(name)?;
        let signature = &self.functions[function].signature;
        let wanted = FuncSignature {
            params: P::types(),
            results: R::types(),
        };
        if *signature != wanted {
            return Err(self.of_another_type(name, signature, &wanted));
        }
        Ok(TypedFunction {
            name: self.functions[function].name.clone(),
            function,
            slots: signature.param_slots().max(signature.result_slots()),
            types: PhantomData,
        })
    }

    /// The memory that the guest exports by that name.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is none, [`Ended`](ErrorKind::Ended) if the guest has ended,
    /// [`Unsupported`](ErrorKind::Unsupported) if the engine cannot reach it from outside: a runtime on `PATH` only
    /// reaches the one that functions of the host would.
    pub fn memory(&mut self, name: &str) -> Result<InstanceMemory<'_>> {
        let guest = self.program.guest();
        let is_it = |kind: &ExportKind| *kind == ExportKind::Memory;
        let mut exports = guest.exports().iter();
        if !exports.any(|export| export.name == name && is_it(&export.kind)) {
            return Err(self.no_such(name, "memory", is_it));
        }
        let memory = self.life.live().and_then(|live| live.memory(name));
        let memory = memory.map_err(|error| self.program.named(error))?;
        Ok(InstanceMemory(memory))
    }

    /// What the global holds that the guest exports by that name.
    ///
    /// # Errors
    ///
    /// As for [`memory`](Instance::memory); [`Unsupported`](ErrorKind::Unsupported) for a reference.
    pub fn global(&mut self, name: &str) -> Result<Value> {
        let GlobalDecl { ty, .. } = self.global_decl(name)?;
        let value = self.life.live().and_then(|live| live.global(name, ty));
        value.map_err(|error| self.program.named(error))
    }

    /// Puts a value into that global.
    ///
    /// # Errors
    ///
    /// As for [`global`](Instance::global); [`Config`](ErrorKind::Config) for one that cannot be set, or a value of
    /// another type.
    pub fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let GlobalDecl { ty, mutable } = self.global_decl(name)?;
        let why = match (mutable, ty == value.ty()) {
            (true, true) => {
                let set = self
                    .life
                    .live()
                    .and_then(|live| live.set_global(name, value));
                return set.map_err(|error| self.program.named(error));
            }
            (false, _) => "cannot be set".to_owned(),
            (true, false) => format!("holds {ty}, and is to be set to {}", value.ty()),
        };
        let message = format!("the guest's global {} {why}", shown(name));
        Err(self.program.named(Error::new(ErrorKind::Config, message)))
    }

    fn global_decl(&self, name: &str) -> Result<GlobalDecl> {
        let mut exports = self.program.guest().exports().iter();
        let found = exports.find_map(|export| match &export.kind {
            ExportKind::Global(global) if export.name == name => Some(*global),
            _ => None,
        });
        let is_it = |kind: &ExportKind| matches!(kind, ExportKind::Global(_));
        let found = found.ok_or_else(|| self.no_such(name, "global", is_it))?;
        if found.ty == ValueType::Reference {
            let message = format!("the guest's global {} holds a reference", shown(name));
            return Err(self
                .program
                .named(Error::new(ErrorKind::Unsupported, message)));
        }
        Ok(found)
    }

    /// What the guest has written to its standard output since this was last asked, where that is
    /// [captured](Stdout::Capture).
    pub fn take_stdout(&mut self) -> Captured {
        let capture = self.streams.stdout_capture.as_ref();
        capture.map(|capture| capture.take()).unwrap_or_default()
    }

    /// Likewise, to its standard error.
    pub fn take_stderr(&mut self) -> Captured {
        let capture = self.streams.stderr_capture.as_ref();
        capture.map(|capture| capture.take()).unwrap_or_default()
    }

    /// The last `tail` lines that the guest has written, as [`Run::logs`](crate::Run::logs) has them.
    ///
    /// # Errors
    ///
    /// As for [`Run::logs`](crate::Run::logs).
    pub fn logs(&self, tail: usize) -> Result<Vec<LogLine>> {
        let lines = logged(self.streams.log.as_ref(), tail);
        lines.map_err(|error| self.program.named(error))
    }

    /// What the guest has changed so far of its mounts, as [`Report::layers`](crate::Report::layers) has it of a run.
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.all()
    }

    /// What it has tried of the network so far that was denied, as [`Report::denied`](crate::Report::denied) has it of a
    /// run.
    pub fn denied(&self) -> Denied {
        self.denials.all()
    }

    /// What the instance has cost: the fuel of the last call, the most memory it ever had. Of one that has ended, or
    /// where the engine does not tell, `None`.
    pub fn stats(&mut self) -> Stats {
        match &mut self.life {
            Life::Lives(live) => live.stats(),
            Life::Ended(_) | Life::Lost => Stats::default(),
        }
    }

    /// What ends the guest from another thread, for a config that is [killable](RunConfig::killable).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the config did not ask for it.
    pub fn killer(&self) -> Result<Killer> {
        Killer::new(&self.control, self.config.killable)
    }

    /// Gives the instance its first state: that of a new one, with the same config, streams from their beginning
    /// and no [state](Attachments::state). [`killer`](Instance::killer) has to be asked again.
    ///
    /// # Errors
    ///
    /// As for [`Program::instantiate`]. There is no instance then until it is reset again.
    pub fn reset(&mut self) -> Result<()> {
        self.reset_with(Attachments::new())
    }

    /// As [`reset`](Instance::reset), with what the instance is handed beside its config.
    ///
    /// # Errors
    ///
    /// As for [`Program::instantiate`].
    pub fn reset_with(&mut self, attachments: Attachments) -> Result<()> {
        // What it has of the engine's is the next one's to have.
        self.life = Life::Lost;
        let again = self.program.instantiate_with(&self.config, attachments)?;
        let functions = std::mem::take(&mut self.functions);
        let by_name = std::mem::take(&mut self.by_name);
        *self = Instance {
            functions,
            by_name,
            ..again
        };
        // Numbers are an instance's own.
        for function in &mut self.functions {
            function.number = None;
        }
        Ok(())
    }

    /// The place of the function among those that were asked for.
    fn function(&mut self, name: &str) -> Result<usize> {
        if let Some(known) = self.by_name.get(name) {
            return Ok(*known);
        }
        let guest = self.program.guest();
        let mut functions = guest.exports().iter().filter(|export| export.name == name);
        let signature = functions.find_map(|export| match &export.kind {
            ExportKind::Function(signature) => Some((**signature).clone()),
            _ => None,
        });
        let is_it = |kind: &ExportKind| matches!(kind, ExportKind::Function(_));
        let signature = signature.ok_or_else(|| self.no_such(name, "function", is_it))?;
        if signature.has(ValueType::Reference) {
            let name = shown(name);
            let message = format!(
                "the guest's {name} is of type {signature}, and references cannot be passed"
            );
            return Err(self
                .program
                .named(Error::new(ErrorKind::Unsupported, message)));
        }
        let name: Arc<str> = name.into();
        let place = self.functions.len();
        self.functions.push(Function {
            name: name.clone(),
            signature,
            number: None,
        });
        self.by_name.insert(name, place);
        Ok(place)
    }

    fn no_such(&self, name: &str, what: &str, is_it: impl Fn(&ExportKind) -> bool) -> Error {
        let exports = self.program.guest().exports().iter();
        let names = exports.filter(|export| is_it(&export.kind));
        let names: Vec<_> = names.map(|export| export.name.as_str()).collect();
        let meant = match nearest(name, &names) {
            Some(near) => format!(": was {} meant?", shown(near)),
            None => match names.as_slice() {
                [] => "; it exports none".to_owned(),
                names => {
                    let names = names.iter().take(8).map(|name| shown(name));
                    format!("; it exports {}", names.collect::<Vec<_>>().join(", "))
                }
            },
        };
        let message = match self.program.guest().kind() {
            GuestKind::Component => format!(
                "the guest is a component, whose functions Instance::call_component calls: it has no {what} {}",
                shown(name)
            ),
            _ => format!("the guest exports no {what} {}{meant}", shown(name)),
        };
        self.program.named(Error::new(ErrorKind::Config, message))
    }

    fn of_another_type(&self, name: &str, has: &FuncSignature, wanted: &FuncSignature) -> Error {
        let name = shown(name);
        let message = format!("the guest's {name} is of type {has}, and is asked for as {wanted}");
        self.program.named(Error::new(ErrorKind::Config, message))
    }

    /// Calls the function at that place, with its parameters in these slots, which its results are put into.
    fn invoke(&mut self, place: usize, slots: &mut [u64]) -> Result<Called<()>> {
        let live = self.life.live();
        let live = live.map_err(|error| self.program.named(error))?;
        let function = &mut self.functions[place];
        let number = match function.number {
            Some(number) => number,
            None => {
                let found = live.function(&function.name, &function.signature);
                *function
                    .number
                    .insert(found.map_err(|error| self.program.named(error))?)
            }
        };
        self.attend(|live, limits, control| {
            let called = live.call(number, slots, limits, control)?;
            Ok(called.map_or(Ok(()), Err))
        })
    }

    /// Lets the guest do what a call asks of it, within the limits of one, and sees how it ended, if it did.
    fn attend<T: Send>(
        &mut self,
        call: impl FnOnce(&mut dyn Live, CallLimits, &Control) -> Result<Result<T, Outcome>> + Send,
    ) -> Result<Called<T>> {
        let Instance {
            program,
            config,
            control,
            life,
            host_end,
            timeout,
            ..
        } = self;
        let live = life.live().map_err(|error| program.named(error))?;
        let limits = CallLimits {
            fuel: config.limits.fuel,
        };
        if let Some(timeout) = *timeout {
            let runs = control.restart_time(timeout);
            runs.map_err(|error| program.named(error))?;
        }
        let called = match control.interrupted() {
            Some(reason) => Ok(Err(reason.outcome())),
            None if config.limits.stack.is_some() => {
                let control = &*control;
                with_stack(program, config, || call(live, limits, control))?
            }
            None => call(live, limits, control),
        };
        if timeout.is_some() {
            control.stop_time();
        }
        let outcome = match (ended_from_outside(control, host_end.as_ref()), called) {
            (None, Ok(Ok(returned))) => return Ok(Called::Returned(returned)),
            // The guest was not reached.
            (None, Err(error))
                if matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported) =>
            {
                return Err(program.named(error));
            }
            (Some(Ok(outcome)), _) | (None, Ok(Err(outcome))) => outcome,
            (Some(Err(error)), _) | (None, Err(error)) => {
                let error = program.named(error).with_operation("call");
                *life = Life::Lost;
                return Err(error);
            }
        };
        *life = Life::Ended(outcome.clone());
        Ok(Called::Ended(outcome))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("program", &self.program)
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}

/// A function of an instance, with its type. It stays good when the instance is [reset](Instance::reset).
pub struct TypedFunction<P, R> {
    name: Arc<str>,
    function: usize,
    slots: usize,
    types: PhantomData<fn(P) -> R>,
}

impl<P: HostValues, R: HostValues> TypedFunction<P, R> {
    /// Calls it. `instance` is the one that it was asked of.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call`]; [`Config`](ErrorKind::Config) if it is another instance's.
    pub fn call(&self, instance: &mut Instance, params: P) -> Result<Called<R>> {
        let known = instance.functions.get(self.function);
        if known.is_none_or(|known| !Arc::ptr_eq(&known.name, &self.name)) {
            let message = format!("{} is a function of another instance", shown(&self.name));
            return Err(instance
                .program
                .named(Error::new(ErrorKind::Config, message)));
        }
        with_slots(self.slots, |slots| {
            params.into_slots(slots);
            let called = instance.invoke(self.function, slots)?;
            Ok(called.map(|()| R::from_slots(slots)))
        })
    }
}

impl<P, R> fmt::Debug for TypedFunction<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedFunction({})", shown(&self.name))
    }
}

/// A memory of an instance, between its calls. Addresses and errors are as those of
/// [`HostCall`](crate::HostCall).
#[derive(Debug)]
pub struct InstanceMemory<'a>(HostMemory<'a>);

impl InstanceMemory<'_> {
    /// Bytes that it has now.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Fills `bytes` with what is at that address.
    ///
    /// # Errors
    ///
    /// Not all of it is within the memory.
    pub fn read(&mut self, address: impl Into<u64>, bytes: &mut [u8]) -> Result<(), MemoryError> {
        self.0.read(address.into(), bytes)
    }

    /// So many bytes of it.
    ///
    /// # Errors
    ///
    /// As for [`read`](InstanceMemory::read).
    pub fn read_vec(
        &mut self,
        address: impl Into<u64>,
        length: impl Into<u64>,
    ) -> Result<Vec<u8>, MemoryError> {
        self.0.read_vec(address.into(), length.into())
    }

    /// Puts `bytes` there.
    ///
    /// # Errors
    ///
    /// As for [`read`](InstanceMemory::read).
    pub fn write(&mut self, address: impl Into<u64>, bytes: &[u8]) -> Result<(), MemoryError> {
        self.0.write(address.into(), bytes)
    }

    /// Works on a part of it in its place, as [`HostCall::with_bytes`](crate::HostCall::with_bytes) does.
    ///
    /// # Errors
    ///
    /// As for [`read`](InstanceMemory::read).
    pub fn with_bytes<R>(
        &mut self,
        address: impl Into<u64>,
        length: impl Into<u64>,
        work: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryError> {
        self.0.with_bytes(address.into(), length.into(), work)
    }
}
