//! Memory for what a function returns, which only the component can make room in.
//!
//! Lowering calls the component's `realloc` while it lowers, so the host would call the guest within a call of its own. Not
//! every engine can, and nothing at the other end of a wire can. So a function says what it wants, its wrapper in the guest
//! calls `realloc`, and hands the pointer over by `[cabi] allocated`, until all is there.

use std::collections::VecDeque;

use wasmrun_core::HostCall;
use wasmrun_flatten::Encoding;
use wasmtime::{Result, bail};

use super::dynamic::Typed;
use super::handles::Handles;
use super::lower::{Lower, Lowering, Wishes};

/// What a function returned, and is to be put where the component makes room.
pub(crate) struct Pending {
    value: Box<dyn Store>,
    /// Where the value itself goes, which is there.
    at: u32,
    wishes: Wishes,
    given: VecDeque<u32>,
}

/// That nothing more is wanted.
const NONE: u64 = -1_i64 as u64;

impl Pending {
    pub(crate) fn new(value: Box<dyn Store>, at: u32, encoding: Encoding) -> Result<Self> {
        let mut wishes = Wishes::new(encoding);
        value.wish(&mut wishes)?;
        Ok(Pending {
            value,
            at,
            wishes,
            given: VecDeque::new(),
        })
    }

    /// Whether room was made for all of it.
    pub(crate) fn has_all(&self) -> bool {
        self.wishes.next().is_none()
    }

    /// The next wish, as the component is told: the alignment in the upper half, and the size in the lower.
    pub(crate) fn wish(&self) -> u64 {
        self.wishes.next().map_or(NONE, |wish| {
            u64::from(wish.align) << 32 | u64::from(wish.size)
        })
    }

    /// The component has made room there.
    pub(crate) fn give(&mut self, call: &HostCall<'_>, address: u32) -> Result<()> {
        let Some(wish) = self.wishes.take() else {
            bail!("room was made that no function wants");
        };
        if !address.is_multiple_of(wish.align) {
            bail!("realloc return: result not aligned");
        }
        if u64::from(address) + u64::from(wish.size) > call.memory_size() {
            bail!("realloc return: beyond end of memory");
        }
        self.given.push_back(address);
        Ok(())
    }

    /// Puts the value there.
    pub(crate) fn store(self, call: &mut HostCall<'_>, handles: &mut Handles) -> Result<()> {
        let mut lowering = Lowering::new(call, handles, self.given, self.wishes.encoding());
        self.value.store(self.at, &mut lowering)
    }
}

/// A value of whatever type that a component is given.
pub(crate) trait Store: Send + 'static {
    /// See [`Lower::wish`].
    fn wish(&self, wishes: &mut Wishes) -> Result<()>;

    /// See [`Lower::store`].
    fn store(self: Box<Self>, at: u32, to: &mut Lowering<'_, '_>) -> Result<()>;
}

impl<T: Lower> Store for T {
    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        Lower::wish(self, wishes)
    }

    fn store(self: Box<Self>, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        Lower::store(*self, at, to)
    }
}

impl Store for Typed {
    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        Typed::wish(self, wishes)
    }

    fn store(self: Box<Self>, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        Typed::store(&self, at, to)
    }
}
