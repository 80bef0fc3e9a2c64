//! A call of a function of WASI: from core values, by a trait of wasmtime-wasi, to core values.

use std::collections::VecDeque;
use std::fmt;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{HostCall, Interrupt, Trap};
use wasmrun_flatten::{Caller, Encoding};
use wasmtime::{Error, Result, bail, format_err};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::filesystem::types::{self as filesystem, Host as _};
use wasmtime_wasi::p2::bindings::io::streams::{self, Host as _};
use wasmtime_wasi::p2::bindings::sockets::network::{self, Host as _};
use wasmtime_wasi::p2::{FsError, SocketError, StreamError};

use super::allocation::{Pending, Store};
use super::dynamic::{Dynamic, Typed};
use super::handles::Handles;
use super::lift::{Lift, Lifting, Slots};
use super::lower::{Lower, Lowering};
use super::types::{Resource, Type};
use crate::System;
use crate::traps::trap_kind;
use crate::view::{FilesView as _, NetworkView as _};

/// What one run of a flattened component has of WASI 0.2.
pub(crate) struct State {
    system: System,
    pub(super) handles: Handles,
    /// Of the strings of the component that calls.
    encoding: Encoding,
    pending: Option<Pending>,
    /// What a function of the caller's failed with.
    failure: Option<Failure>,
}

impl State {
    pub(crate) fn new(system: System) -> Self {
        State {
            system,
            handles: Handles::default(),
            encoding: Encoding::default(),
            pending: None,
            failure: None,
        }
    }

    /// From now on this one calls.
    pub(super) fn called_by(&mut self, caller: Caller) {
        self.handles.called_by(caller.component);
        self.encoding = caller.encoding;
    }

    /// Fails if a function was called that is still to be given what it wants.
    fn is_ready(&self) -> Result<()> {
        if self.pending.is_some() {
            bail!("a function was called before room was made for what another returned");
        }
        Ok(())
    }
}

/// A function of WASI 0.2, lowered.
pub(crate) struct Function {
    /// The interface, without its version.
    pub(crate) interface: &'static str,
    /// What it is called there.
    pub(crate) name: &'static str,
    pub(crate) params: Vec<Type>,
    pub(crate) result: Type,
    body: Box<Body>,
}

type Body = dyn Fn(&mut HostCall<'_>, &mut State, &mut [u64]) -> Result<()> + Send + Sync;

/// As many core values are passed at most; what is more, goes by memory. WASI has no function with more.
pub(crate) const MOST_PARAMS: usize = 16;

/// The type of a function with these parameters and results, lowered: one that gives back what room has to be made for
/// says first of all what it wants.
pub(crate) fn signature(
    mut params: Vec<ValueType>,
    mut results: Vec<ValueType>,
    allocates: bool,
) -> FuncSignature {
    if params.len() > MOST_PARAMS {
        params = vec![ValueType::I32];
    }
    if results.len() > 1 {
        params.push(ValueType::I32);
        results.clear();
    }
    if allocates {
        results.push(ValueType::I64);
    }
    FuncSignature { params, results }
}

impl Function {
    pub(crate) fn new<Params>(
        interface: &'static str,
        name: &'static str,
        function: impl IsFunction<Params>,
    ) -> Self {
        function.lowered(interface, name)
    }

    /// The function that drops a resource, by what wasmtime-wasi does for that.
    pub(crate) fn drop<T: super::wit::IsResource, A: Answer<Value = ()>>(
        interface: &'static str,
        name: &'static str,
        drop: impl Fn(&mut System, wasmtime::component::Resource<T>) -> A + Send + Sync + 'static,
    ) -> Self {
        let resource: Resource = T::RESOURCE;
        Function {
            interface,
            name,
            params: vec![Type::Own(resource)],
            result: Type::Nothing,
            body: Box::new(move |_, state, slots| {
                let handle = Slots::new(slots).next_u32()?;
                // What was lent is its owner's.
                let Some(entry) = state.handles.remove(resource, handle)? else {
                    return Ok(());
                };
                let owned = wasmtime::component::Resource::new_own(entry);
                drop(&mut state.system, owned).answer(&mut state.system)
            }),
        }
    }

    /// Its type, lowered.
    pub(crate) fn signature(&self) -> FuncSignature {
        let params = self.params.iter().flat_map(Type::flat).collect();
        signature(params, self.result.flat(), self.result.allocates())
    }

    /// Which of its core parameters is the address of the string or the bytes that it takes first. The next says how many
    /// they are.
    pub(crate) fn reads(&self) -> Option<usize> {
        let is_pointer = |ty: &Type| matches!(ty, Type::String | Type::List(_));
        let place = self.params.iter().position(is_pointer)?;
        let before = self.params.iter().take(place);
        // The length of another list is not in bytes.
        let is_of_bytes = !matches!(self.params.get(place), Some(Type::List(of)) if of.size() > 1);
        is_of_bytes.then(|| before.map(Type::flat_count).sum())
    }

    /// Calls it.
    pub(crate) fn call(
        &self,
        call: &mut HostCall<'_>,
        state: &mut State,
        slots: &mut [u64],
    ) -> Result<()> {
        state.is_ready()?;
        (self.body)(call, state, slots)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.interface, self.name)
    }
}

/// Takes back what room was made for: the next wish, or a negative number.
pub(crate) fn allocated(
    call: &mut HostCall<'_>,
    state: &mut State,
    slots: &mut [u64],
) -> Result<()> {
    let address = Slots::new(slots).next_u32()?;
    let Some(mut pending) = state.pending.take() else {
        bail!("room was made that no function wants");
    };
    pending.give(call, address)?;
    put(slots, pending.wish());
    if pending.has_all() {
        pending.store(call, &mut state.handles)
    } else {
        state.pending = Some(pending);
        Ok(())
    }
}

/// The value that a core function returns.
pub(super) fn put(slots: &mut [u64], value: u64) {
    if let Some(slot) = slots.first_mut() {
        *slot = value;
    }
}

/// What has to be known of a type to give a value of it to a component.
pub(crate) struct Shape {
    pub(crate) flat_count: usize,
    pub(crate) size: u32,
    pub(crate) align: u32,
    pub(crate) allocates: bool,
}

impl Shape {
    const fn of(ty: &Type) -> Self {
        Shape {
            flat_count: ty.flat_count(),
            size: ty.size(),
            align: ty.align(),
            allocates: ty.allocates(),
        }
    }
}

/// Gives a function's value to the component, which passed a pointer for it if it is more than a core value.
fn give<T: Store>(
    value: T,
    shape: &Shape,
    mut rest: Slots<'_>,
    call: &mut HostCall<'_>,
    state: &mut State,
) -> Result<Option<u64>> {
    let value = Box::new(value);
    match shape.flat_count {
        0 => return Ok(None),
        1 => return Lowering::slot(&mut state.handles, |to| value.store(0, to)).map(Some),
        _ => {}
    }
    let at = rest.next_u32()?;
    if !at.is_multiple_of(shape.align) {
        bail!("pointer not aligned");
    }
    if u64::from(at) + u64::from(shape.size) > call.memory_size() {
        bail!("pointer out of bounds");
    }
    if !shape.allocates {
        value.store(
            at,
            &mut Lowering::new(call, &mut state.handles, VecDeque::new(), state.encoding),
        )?;
        return Ok(None);
    }
    let pending = Pending::new(value, at, state.encoding)?;
    let wish = pending.wish();
    if pending.has_all() {
        pending.store(call, &mut state.handles)?;
    } else {
        state.pending = Some(pending);
    }
    Ok(Some(wish))
}

/// Calls a function of the caller's.
pub(crate) fn call_dynamic(
    dynamic: &Dynamic,
    call: &mut HostCall<'_>,
    state: &mut State,
    slots: &mut [u64],
) -> Result<()> {
    state.is_ready()?;
    let mut from = Slots::new(slots);
    let params = dynamic.params(
        &mut from,
        &mut Lifting::new(call, &state.handles, state.encoding),
    )?;
    let called = dynamic.function.call_within(call, &dynamic.import, params);
    let value = called.map_err(|failure| {
        let error = format_err!("{failure}");
        state.failure = Some(failure);
        error
    })?;
    let Some((value, ty)) = value.zip(dynamic.import.signature.result.clone()) else {
        return Ok(());
    };
    let typed = Typed { value, ty };
    let shape = typed.shape();
    if let Some(value) = give(typed, &shape, from, call, state)? {
        put(slots, value);
    }
    Ok(())
}

/// A closure that does what a function of WASI does, on the types of wasmtime-wasi. Its parameters and its result say what
/// WIT calls it.
pub(crate) trait IsFunction<Params> {
    fn lowered(self, interface: &'static str, name: &'static str) -> Function;
}

macro_rules! closures {
    ($(($($param:ident),*);)*) => {$(
        impl<C, A, $($param),*> IsFunction<($($param,)*)> for C
        where
            C: Fn(&mut System, $($param),*) -> A + Send + Sync + 'static,
            A: Answer,
            $($param: Lift,)*
        {
            fn lowered(self, interface: &'static str, name: &'static str) -> Function {
                const {
                    let params = Type::Tuple(&[$($param::TYPE),*]);
                    assert!(params.flat_count() <= MOST_PARAMS);
                }
                #[allow(non_snake_case, reason = "a parameter is called as its type")]
                let body = move |call: &mut HostCall<'_>, state: &mut State, slots: &mut [u64]| {
                    #[allow(unused_mut, reason = "some have no parameters")]
                    let mut from = Slots::new(slots);
                    #[allow(unused_variables, unused_mut, reason = "likewise")]
                    let mut lifting = Lifting::new(call, &state.handles, state.encoding);
                    $(let $param = $param::lift(&mut from, &mut lifting)?;)*
                    let value = self(&mut state.system, $($param),*).answer(&mut state.system)?;
                    let shape = const { &Shape::of(&A::Value::TYPE) };
                    if let Some(value) = give(value, shape, from, call, state)? {
                        put(slots, value);
                    }
                    Ok(())
                };
                Function {
                    interface,
                    name,
                    params: vec![$($param::TYPE),*],
                    result: A::Value::TYPE,
                    body: Box::new(body),
                }
            }
        }
    )*};
}

closures! {
    ();
    (P1);
    (P1, P2);
    (P1, P2, P3);
    (P1, P2, P3, P4);
    (P1, P2, P3, P4, P5);
}

/// What a function of wasmtime-wasi returns.
pub(crate) trait Answer {
    /// What it is to the component.
    type Value: Lower;

    /// The value, or why the component must not go on.
    fn answer(self, system: &mut System) -> Result<Self::Value>;
}

impl<T: Lower> Answer for Result<T> {
    type Value = T;

    fn answer(self, _: &mut System) -> Result<T> {
        self
    }
}

impl<T: Lower> Answer for Result<T, FsError> {
    type Value = Result<T, filesystem::ErrorCode>;

    fn answer(self, system: &mut System) -> Result<Self::Value> {
        self.map(Ok)
            .or_else(|error| Ok(Err(system.files().convert_error_code(error)?)))
    }
}

impl<T: Lower> Answer for Result<T, StreamError> {
    type Value = Result<T, streams::StreamError>;

    fn answer(self, system: &mut System) -> Result<Self::Value> {
        self.map(Ok)
            .or_else(|error| Ok(Err(system.resources.convert_stream_error(error)?)))
    }
}

impl<T: Lower> Answer for Result<T, SocketError> {
    type Value = Result<T, network::ErrorCode>;

    fn answer(self, system: &mut System) -> Result<Self::Value> {
        self.map(Ok)
            .or_else(|error| Ok(Err(system.network().convert_error_code(error)?)))
    }
}

/// What a function returned that was waited for, unless the guest is to end.
pub(crate) struct Waited<A>(pub(crate) Result<A, Interrupt>);

impl<A: Answer> Answer for Waited<A> {
    type Value = A::Value;

    fn answer(self, system: &mut System) -> Result<A::Value> {
        match self.0 {
            Ok(answer) => answer.answer(system),
            // Why is in the control.
            Err(_) => Err(wasmtime::Trap::Interrupt.into()),
        }
    }
}

/// Does what is to be done in a call of a function of the host, and ends the guest if it failed.
pub(crate) fn within(
    call: &mut HostCall<'_>,
    work: impl FnOnce(&mut HostCall<'_>, &mut State) -> Result<()>,
) -> Result<(), Failure> {
    let done = call.with_system(|call, state: &mut State| {
        let done = work(call, state);
        (done, state.failure.take())
    });
    let error = match done {
        Some((Ok(()), _)) => return Ok(()),
        Some((Err(_), Some(failure))) => return Err(failure),
        Some((Err(error), None)) => error,
        None => format_err!("the run has nothing of WASI 0.2; only flattened components do"),
    };
    if let Some(I32Exit(code)) = error.downcast_ref() {
        call.exit(*code);
        return Ok(());
    }
    Err(match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => Trap::new(trap_kind(*trap), trap.to_string()).into(),
        None => Failed(error).into(),
    })
}

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a component must not go on after a call.
#[derive(Debug)]
struct Failed(Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.root_cause())
    }
}

impl std::error::Error for Failed {}
