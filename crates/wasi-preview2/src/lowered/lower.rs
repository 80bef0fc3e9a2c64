//! What a component is given, as the canonical ABI has it.

use std::collections::VecDeque;

use wasmrun_core::HostCall;
use wasmrun_flatten::Encoding;
use wasmtime::component::Resource;
use wasmtime::{Result, bail, format_err};

use super::encoding::Encoded;
use super::handles::Handles;
use super::types::{Members, Type};
use super::wit::IsResource;

/// A type that a component can be given.
pub(crate) trait Lower: Sized + Send + 'static {
    /// What WIT calls it.
    const TYPE: Type;

    /// Says what memory it needs beside its own, in the order in which [`store`](Lower::store) takes it.
    fn wish(&self, _wishes: &mut Wishes) -> Result<()> {
        Ok(())
    }

    /// Puts it there.
    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()>;

    /// Puts several there, one after the other.
    fn store_all(all: Vec<Self>, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        let mut members = Members::new();
        for one in all {
            one.store(at + members.next(&<Self as Lower>::TYPE), to)?;
        }
        Ok(())
    }
}

/// Memory that a component is to make room in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) align: u32,
    pub(crate) size: u32,
}

impl Wish {
    fn new(ty: &Type, count: usize) -> Result<Self> {
        Wish::of(ty.align(), ty.size(), count)
    }

    /// For so many values that take so much each.
    pub(super) fn of(align: u32, size: u32, count: usize) -> Result<Self> {
        let size = (count as u64).checked_mul(size.into());
        let size = size.and_then(|size| u32::try_from(size).ok());
        let size = size.ok_or_else(|| format_err!("size overflow copying a list"))?;
        Ok(Wish { align, size })
    }
}

/// What a value wants, one after the other.
#[derive(Debug)]
pub(crate) struct Wishes {
    all: VecDeque<Wish>,
    /// Of the component's strings.
    encoding: Encoding,
}

impl Wishes {
    pub(super) fn new(encoding: Encoding) -> Self {
        Wishes {
            all: VecDeque::new(),
            encoding,
        }
    }

    pub(super) fn add(&mut self, wish: Wish) {
        self.all.push_back(wish);
    }

    pub(super) fn add_string(&mut self, string: &str) -> Result<()> {
        let encoded = Encoded::of(string, self.encoding)?;
        self.add(Wish::of(encoded.align, 1, encoded.bytes.len())?);
        Ok(())
    }

    pub(super) fn next(&self) -> Option<&Wish> {
        self.all.front()
    }

    pub(super) fn take(&mut self) -> Option<Wish> {
        self.all.pop_front()
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// Where values are put, and what is needed for that.
pub(crate) struct Lowering<'a, 'b> {
    to: Target<'a, 'b>,
    handles: &'a mut Handles,
    /// Where the component made room.
    given: VecDeque<u32>,
    /// Of the component's strings.
    encoding: Encoding,
}

enum Target<'a, 'b> {
    Memory(&'a mut HostCall<'b>),
    /// A core value, as the bytes of what it is of, above which all are 0.
    Slot([u8; 8]),
}

impl<'a, 'b> Lowering<'a, 'b> {
    /// Into memory, where that room was made, for a component that has strings in that encoding.
    pub(crate) fn new(
        call: &'a mut HostCall<'b>,
        handles: &'a mut Handles,
        given: VecDeque<u32>,
        encoding: Encoding,
    ) -> Self {
        Lowering {
            to: Target::Memory(call),
            handles,
            given,
            encoding,
        }
    }

    /// The core value that a value is passed as which is passed as one.
    pub(crate) fn slot(
        handles: &'a mut Handles,
        store: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<u64> {
        let mut lowering = Lowering {
            to: Target::Slot([0; 8]),
            handles,
            given: VecDeque::new(),
            encoding: Encoding::default(),
        };
        store(&mut lowering)?;
        match lowering.to {
            Target::Slot(bytes) => Ok(u64::from_le_bytes(bytes)),
            Target::Memory(_) => Ok(0),
        }
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        match &mut self.to {
            Target::Memory(call) => Ok(call.write(at, bytes)?),
            Target::Slot(slot) => {
                let own = slot.get_mut(..bytes.len());
                own.ok_or_else(|| format_err!("a core value has 8 bytes"))?
                    .copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Puts a number of so many bytes there.
    pub(super) fn number(&mut self, at: u32, number: u64, bytes: u32) -> Result<()> {
        let own = number.to_le_bytes();
        self.put(at, own.get(..bytes as usize).unwrap_or_default())
    }

    /// The same, of one with a sign: a core value has it in all of its 32 bits.
    pub(super) fn signed(&mut self, at: u32, number: i32, bytes: u32) -> Result<()> {
        let bytes = match self.to {
            Target::Memory(_) => bytes,
            Target::Slot(_) => 4,
        };
        self.number(at, number.cast_unsigned().into(), bytes)
    }

    /// Puts a string where there is room, and the pointer to it there.
    pub(super) fn string(&mut self, at: u32, string: &str) -> Result<()> {
        let encoded = Encoded::of(string, self.encoding)?;
        self.point(at, encoded.length as usize, |room, to| {
            to.put(room, &encoded.bytes)
        })
    }

    /// Puts what is behind a pointer where there is room, and the pointer there.
    pub(super) fn point(
        &mut self,
        at: u32,
        length: usize,
        store: impl FnOnce(u32, &mut Self) -> Result<()>,
    ) -> Result<()> {
        let Some(room) = self.given.pop_front() else {
            bail!("no room was made for what a function returned");
        };
        store(room, self)?;
        self.put(at, &room.to_le_bytes())?;
        // A wish was for as much.
        self.put(at + 4, &(length as u32).to_le_bytes())
    }
}

macro_rules! numbers {
    ($($number:ty: $ty:ident $({ $($more:item)* })?;)*) => {$(
        impl Lower for $number {
            const TYPE: Type = Type::$ty;

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                to.put(at, &self.to_le_bytes())
            }

            $($($more)*)?
        }
    )*};
}

numbers! {
    u8: U8 {
        fn store_all(all: Vec<Self>, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
            to.put(at, &all)
        }
    };
    u16: U16;
    u32: U32;
    u64: U64;
}

impl Lower for bool {
    const TYPE: Type = Type::Bool;

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        to.put(at, &[self.into()])
    }
}

impl Lower for String {
    const TYPE: Type = Type::String;

    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        wishes.add_string(self)
    }

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        to.string(at, &self)
    }
}

impl<T: Lower> Lower for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);

    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        wishes.add(Wish::new(&T::TYPE, self.len())?);
        if T::TYPE.allocates() {
            self.iter().try_for_each(|one| one.wish(wishes))?;
        }
        Ok(())
    }

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        to.point(at, self.len(), |room, to| T::store_all(self, room, to))
    }
}

/// A resource becomes the component's.
impl<T: IsResource> Lower for Resource<T> {
    const TYPE: Type = Type::Own(T::RESOURCE);

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        let handle = to.handles.insert(T::RESOURCE, self.rep())?;
        to.put(at, &handle.to_le_bytes())
    }
}

impl Lower for () {
    const TYPE: Type = Type::Nothing;

    fn store(self, _: u32, _: &mut Lowering<'_, '_>) -> Result<()> {
        Ok(())
    }
}

impl<T: Lower> Lower for Option<T> {
    const TYPE: Type = Type::Option(&T::TYPE);

    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        self.iter().try_for_each(|some| some.wish(wishes))
    }

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        to.put(at, &[self.is_some().into()])?;
        match self {
            None => Ok(()),
            Some(some) => some.store(at + <Self as Lower>::TYPE.payload(), to),
        }
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    const TYPE: Type = Type::Result(&(T::TYPE, E::TYPE));

    fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        match self {
            Ok(ok) => ok.wish(wishes),
            Err(err) => err.wish(wishes),
        }
    }

    fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        to.put(at, &[self.is_err().into()])?;
        let at = at + <Self as Lower>::TYPE.payload();
        match self {
            Ok(ok) => ok.store(at, to),
            Err(err) => err.store(at, to),
        }
    }
}

macro_rules! tuples {
    ($(($($member:ident),*);)*) => {$(
        #[expect(non_snake_case, reason = "a member is called as its type")]
        impl<$($member: Lower),*> Lower for ($($member,)*) {
            const TYPE: Type = Type::Tuple(&[$($member::TYPE),*]);

            fn wish(&self, wishes: &mut Wishes) -> Result<()> {
                let ($($member,)*) = self;
                $($member.wish(wishes)?;)*
                Ok(())
            }

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                let ($($member,)*) = self;
                let mut members = Members::new();
                $($member.store(at + members.next(&$member::TYPE), to)?;)*
                Ok(())
            }
        }
    )*};
}

tuples! {
    (A, B);
    (A, B, C);
    (A, B, C, D);
    (A, B, C, D, E, F, G, H);
}

/// Puts a record where it is to be.
macro_rules! lower_record {
    ($record:ty { $($field:ident: $type:ty = $name:literal),* $(,)? }) => {
        impl Lower for $record {
            const TYPE: Type = Type::Record(&[$(($name, <$type as Lower>::TYPE)),*]);

            fn wish(&self, wishes: &mut Wishes) -> Result<()> {
                $(Lower::wish(&self.$field, wishes)?;)*
                Ok(())
            }

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                let mut members = Members::new();
                $(self.$field.store(at + members.next(&<$type as Lower>::TYPE), to)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use lower_record;

/// Puts a variant where it is to be, whose cases all are given in their order, and have no strings or lists.
macro_rules! lower_variant {
    ($variant:ty { $($case:ident $(($payload:ident: $type:ty))? = $name:literal),* $(,)? }) => {
        impl Lower for $variant {
            const TYPE: Type = {
                let ty = Type::Variant(&[$(($name, lower_variant!(@type $($type)?))),*]);
                assert!(!ty.allocates());
                ty
            };

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                let mut number = 0;
                $(
                    if let Self::$case $(($payload))? = self {
                        to.put(at, &[number])?;
                        $(return $payload.store(at + <Self as Lower>::TYPE.payload(), to);)?
                        #[allow(unreachable_code, reason = "that of a case with something")]
                        return Ok(());
                    }
                    number += 1;
                )*
                let _ = number;
                Ok(())
            }
        }
    };
    (@type) => { Type::Nothing };
    (@type $type:ty) => { <$type as Lower>::TYPE };
}
pub(crate) use lower_variant;

/// Puts an enumeration where it is to be, whose cases all are given in their order.
macro_rules! lower_enum {
    ($enum:ty { $($case:ident = $name:literal),* $(,)? }) => {
        impl Lower for $enum {
            const TYPE: Type = Type::Enum(&[$($name),*]);

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                let cases = [$(<$enum>::$case),*];
                // All are there, and fewer than 256.
                let number = cases.iter().position(|case| *case == self);
                to.put(at, &[number.unwrap_or_default() as u8])
            }
        }
    };
}
pub(crate) use lower_enum;

/// Puts flags where they are to be, which all are given in their order.
macro_rules! lower_flags {
    ($flags:ty { $($flag:ident = $name:literal),* $(,)? }) => {
        impl Lower for $flags {
            const TYPE: Type = Type::Flags(&[$($name),*]);

            fn store(self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
                let all = [$(<$flags>::$flag),*].into_iter().enumerate();
                let set = all.filter(|(_, flag)| self.contains(*flag));
                let bits = set.fold(0, |bits, (bit, _)| bits | 1 << bit);
                to.put(at, &[bits])
            }
        }
    };
}
pub(crate) use lower_flags;
