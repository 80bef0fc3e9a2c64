//! What a component passes, as Rust has it.

use wasmrun_core::HostCall;
use wasmrun_flatten::Encoding;
use wasmrun_wasi_preview1::HOSTCALL_FUEL;
use wasmtime::component::Resource;
use wasmtime::{Error, Result, bail, format_err};

use super::encoding::Layout;
use super::handles::Handles;
use super::types::{Members, Type};
use super::wit::IsResource;

/// A type that a component can pass.
pub(crate) trait Lift: Sized {
    /// What WIT calls it.
    const TYPE: Type;

    /// Takes it from the parameters of a call.
    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self>;

    /// Takes it from memory, of which these are the bytes that it fills.
    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self>;

    /// Takes several from memory, one after the other.
    fn load_all(bytes: Vec<u8>, cx: &mut Lifting<'_, '_>) -> Result<Vec<Self>> {
        let each = bytes.chunks_exact(<Self as Lift>::TYPE.size() as usize);
        each.map(|bytes| Self::load(bytes, cx)).collect()
    }
}

/// Core values that are still to be taken. Those with 32 bits have them in the lower half.
pub(crate) struct Slots<'a>(&'a [u64]);

impl<'a> Slots<'a> {
    pub(crate) fn new(slots: &'a [u64]) -> Self {
        Slots(slots)
    }

    pub(crate) fn next(&mut self) -> Result<u64> {
        let (first, rest) = self.0.split_first().ok_or_else(Slots::too_few)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn next_u32(&mut self) -> Result<u32> {
        Ok(self.next()? as u32)
    }

    /// The first of them, which one value is passed as.
    pub(super) fn split_off(&mut self, count: usize) -> Result<Slots<'a>> {
        let split = self.0.split_at_checked(count);
        let (own, rest) = split.ok_or_else(Slots::too_few)?;
        self.0 = rest;
        Ok(Slots(own))
    }

    // Engines pass as many as the type has.
    fn too_few() -> Error {
        format_err!("the function was called with too few parameters")
    }
}

/// What is needed to follow pointers and handles that a component passes.
pub(crate) struct Lifting<'a, 'b> {
    call: &'a mut HostCall<'b>,
    handles: &'a Handles,
    encoding: Encoding,
    /// How many handles were lent in this call.
    lent: usize,
    /// How much may still be copied in this call.
    left: usize,
}

impl<'a, 'b> Lifting<'a, 'b> {
    /// Of a component that has strings in that encoding.
    pub(crate) fn new(
        call: &'a mut HostCall<'b>,
        handles: &'a Handles,
        encoding: Encoding,
    ) -> Self {
        Lifting {
            call,
            handles,
            encoding,
            lent: 0,
            left: HOSTCALL_FUEL as usize,
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            format_err!(
                "too much data is being copied between the host and the guest: \
                 fuel allocated for hostcalls has been exhausted"
            )
        })?;
        Ok(())
    }

    pub(super) fn string(&mut self, [address, length]: [u32; 2]) -> Result<String> {
        let layout = Layout::of(length, self.encoding);
        if !address.is_multiple_of(layout.align) {
            bail!("string pointer not aligned to {}", layout.align);
        }
        if !self.has(address, layout.bytes) {
            bail!("string pointer/length out of bounds of memory");
        }
        self.spend(layout.bytes as usize)?;
        layout.decoded(self.call.read_vec(address, layout.bytes)?)
    }

    fn list<T: Lift>(&mut self, pointer: [u32; 2]) -> Result<Vec<T>> {
        let bytes = self.list_bytes(pointer, T::TYPE.size(), T::TYPE.align(), size_of::<T>())?;
        T::load_all(bytes, self)
    }

    /// The bytes of a list of values that take so much of memory each, and so much here.
    pub(super) fn list_bytes(
        &mut self,
        [address, length]: [u32; 2],
        size: u32,
        align: u32,
        kept: usize,
    ) -> Result<Vec<u8>> {
        // Of two numbers of 32 bits.
        let bytes = u64::from(length) * u64::from(size);
        if !self.has(address, bytes) {
            bail!("list pointer/length out of bounds of memory");
        }
        self.spend((length as usize).saturating_mul(kept))?;
        if !address.is_multiple_of(align) {
            bail!("list pointer is not aligned");
        }
        Ok(self.call.read_vec(address, bytes)?)
    }

    /// The bytes of parameters that are passed by memory.
    pub(super) fn record(&mut self, address: u32, size: u32, align: u32) -> Result<Vec<u8>> {
        if !address.is_multiple_of(align) {
            bail!("pointer not aligned");
        }
        if !self.has(address, size.into()) {
            bail!("pointer out of bounds");
        }
        Ok(self.call.read_vec(address, size)?)
    }

    fn has(&self, address: u32, bytes: u64) -> bool {
        u64::from(address) + bytes <= self.call.memory_size()
    }

    fn lend<T: IsResource>(&mut self, handle: u32) -> Result<Resource<T>> {
        let (entry, is_one_more) = self.handles.lend(T::RESOURCE, handle, self.lent)?;
        self.lent += usize::from(is_one_more);
        Ok(Resource::new_borrow(entry))
    }
}

/// A number of so many bytes, the least significant first. There are as many: who calls this has seen to it.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().rev();
    digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The address and the length that a string or a list is passed as.
pub(super) fn pointer(bytes: &[u8]) -> [u32; 2] {
    let number = number(bytes);
    [number as u32, (number >> 32) as u32]
}

/// Which case a variant or an enumeration in memory is of, and the bytes from where a case has something.
pub(super) fn case<'a>(ty: &Type, bytes: &'a [u8]) -> (u32, &'a [u8]) {
    // There are fewer than 256.
    let case = bytes.first().copied().unwrap_or_default();
    let payload = bytes.get(ty.payload() as usize..);
    (case.into(), payload.unwrap_or_default())
}

/// The bytes of a value of this type, which begin what is left of a record.
pub(super) fn member<'a>(members: &mut Members, ty: &Type, bytes: &'a [u8]) -> &'a [u8] {
    let at = members.next(ty) as usize;
    bytes.get(at..at + ty.size() as usize).unwrap_or_default()
}

/// What a case has, of a variant in memory, in the first of these bytes.
pub(super) fn payload<T: Lift>(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<T> {
    let own = bytes.get(..T::TYPE.size() as usize);
    T::load(own.unwrap_or_default(), cx)
}

macro_rules! numbers {
    ($($number:ty: $ty:ident $({ $($more:item)* })?;)*) => {$(
        impl Lift for $number {
            const TYPE: Type = Type::$ty;

            fn lift(from: &mut Slots<'_>, _: &mut Lifting<'_, '_>) -> Result<Self> {
                Ok(from.next()? as $number)
            }

            fn load(bytes: &[u8], _: &mut Lifting<'_, '_>) -> Result<Self> {
                Ok(number(bytes) as $number)
            }

            $($($more)*)?
        }
    )*};
}

numbers! {
    u8: U8 {
        fn load_all(bytes: Vec<u8>, _: &mut Lifting<'_, '_>) -> Result<Vec<Self>> {
            Ok(bytes)
        }
    };
    u16: U16;
    u32: U32;
    u64: U64;
}

impl Lift for bool {
    const TYPE: Type = Type::Bool;

    fn lift(from: &mut Slots<'_>, _: &mut Lifting<'_, '_>) -> Result<Self> {
        Ok(from.next_u32()? != 0)
    }

    fn load(bytes: &[u8], _: &mut Lifting<'_, '_>) -> Result<Self> {
        Ok(number(bytes) != 0)
    }
}

impl Lift for String {
    const TYPE: Type = Type::String;

    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.string([from.next_u32()?, from.next_u32()?])
    }

    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.string(pointer(bytes))
    }
}

impl<T: Lift> Lift for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);

    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.list([from.next_u32()?, from.next_u32()?])
    }

    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.list(pointer(bytes))
    }
}

/// A resource is only lent: no function of WASI takes one but that which drops it.
impl<T: IsResource> Lift for Resource<T> {
    const TYPE: Type = Type::Borrow(T::RESOURCE);

    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.lend(from.next_u32()?)
    }

    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
        cx.lend(number(bytes) as u32)
    }
}

impl Lift for () {
    const TYPE: Type = Type::Nothing;

    fn lift(_: &mut Slots<'_>, _: &mut Lifting<'_, '_>) -> Result<Self> {
        Ok(())
    }

    fn load(_: &[u8], _: &mut Lifting<'_, '_>) -> Result<Self> {
        Ok(())
    }
}

impl<T: Lift> Lift for Option<T> {
    const TYPE: Type = Type::Option(&T::TYPE);

    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
        let mut from = from.split_off(<Self as Lift>::TYPE.flat_count())?;
        match from.next_u32()? {
            0 => Ok(None),
            1 => Ok(Some(T::lift(&mut from, cx)?)),
            _ => bail!("invalid option discriminant"),
        }
    }

    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
        match case(&<Self as Lift>::TYPE, bytes) {
            (0, _) => Ok(None),
            (1, some) => Ok(Some(payload(some, cx)?)),
            _ => bail!("invalid option discriminant"),
        }
    }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    const TYPE: Type = Type::Result(&(T::TYPE, E::TYPE));

    fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
        let mut from = from.split_off(<Self as Lift>::TYPE.flat_count())?;
        match from.next_u32()? {
            0 => Ok(Ok(T::lift(&mut from, cx)?)),
            1 => Ok(Err(E::lift(&mut from, cx)?)),
            _ => bail!("invalid expected discriminant"),
        }
    }

    fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
        match case(&<Self as Lift>::TYPE, bytes) {
            (0, ok) => Ok(Ok(payload(ok, cx)?)),
            (1, err) => Ok(Err(payload(err, cx)?)),
            _ => bail!("invalid expected discriminant"),
        }
    }
}

macro_rules! tuples {
    ($(($($member:ident),*);)*) => {$(
        impl<$($member: Lift),*> Lift for ($($member,)*) {
            const TYPE: Type = Type::Tuple(&[$($member::TYPE),*]);

            fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
                Ok(($($member::lift(from, cx)?,)*))
            }

            fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let mut members = Members::new();
                Ok(($($member::load(member(&mut members, &$member::TYPE, bytes), cx)?,)*))
            }
        }
    )*};
}

tuples! {
    (A, B, C, D);
    (A, B, C, D, E, F, G, H);
}

/// Takes a record from where it is passed.
macro_rules! lift_record {
    ($record:ty { $($field:ident: $type:ty = $name:literal),* $(,)? }) => {
        impl Lift for $record {
            const TYPE: Type = Type::Record(&[$(($name, <$type as Lift>::TYPE)),*]);

            fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
                Ok(Self { $($field: Lift::lift(from, cx)?),* })
            }

            fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let mut members = Members::new();
                Ok(Self {
                    $($field: <$type>::load(member(&mut members, &<$type as Lift>::TYPE, bytes), cx)?),*
                })
            }
        }
    };
}
pub(crate) use lift_record;

/// Takes a variant from where it is passed, whose cases all are given in their order.
macro_rules! lift_variant {
    ($variant:ty { $($case:ident $(($type:ty))? = $name:literal),* $(,)? }) => {
        impl Lift for $variant {
            const TYPE: Type = Type::Variant(&[$(($name, lift_variant!(@type $($type)?))),*]);

            fn lift(from: &mut Slots<'_>, cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let mut from = from.split_off(<Self as Lift>::TYPE.flat_count())?;
                let case = from.next_u32()?;
                let mut number = 0..;
                $(if number.next() == Some(case) {
                    return Ok(<$variant>::$case $((<$type>::lift(&mut from, cx)?))?);
                })*
                bail!("unexpected discriminant: {case}")
            }

            fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let (case, _payload) = case(&<Self as Lift>::TYPE, bytes);
                let mut number = 0..;
                $(if number.next() == Some(case) {
                    return Ok(<$variant>::$case $((payload::<$type>(_payload, cx)?))?);
                })*
                bail!("unexpected discriminant: {case}")
            }
        }
    };
    (@type) => { Type::Nothing };
    (@type $type:ty) => { <$type as Lift>::TYPE };
}
pub(crate) use lift_variant;

/// Takes an enumeration from where it is passed, whose cases all are given in their order.
macro_rules! lift_enum {
    ($enum:ty { $($case:ident = $name:literal),* $(,)? }) => {
        impl Lift for $enum {
            const TYPE: Type = Type::Enum(&[$($name),*]);

            fn lift(from: &mut Slots<'_>, _: &mut Lifting<'_, '_>) -> Result<Self> {
                let case = from.next_u32()?;
                let cases = [$(<$enum>::$case),*];
                let found = usize::try_from(case).ok().and_then(|case| cases.get(case));
                found.copied().ok_or_else(|| format_err!("unexpected discriminant: {case}"))
            }

            fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let (case, _) = case(&<Self as Lift>::TYPE, bytes);
                Self::lift(&mut Slots::new(&[case.into()]), cx)
            }
        }
    };
}
pub(crate) use lift_enum;

/// Takes flags from where they are passed, which all are given in their order. Other bits do not matter.
macro_rules! lift_flags {
    ($flags:ty { $($flag:ident = $name:literal),* $(,)? }) => {
        impl Lift for $flags {
            const TYPE: Type = Type::Flags(&[$($name),*]);

            fn lift(from: &mut Slots<'_>, _: &mut Lifting<'_, '_>) -> Result<Self> {
                let bits = from.next_u32()?;
                let all = [$(<$flags>::$flag),*].into_iter().enumerate();
                let set = all.filter(|(bit, _)| bits >> bit & 1 != 0);
                Ok(set.fold(<$flags>::empty(), |set, (_, flag)| set | flag))
            }

            fn load(bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<Self> {
                let (bits, _) = case(&<Self as Lift>::TYPE, bytes);
                Self::lift(&mut Slots::new(&[bits.into()]), cx)
            }
        }
    };
}
pub(crate) use lift_flags;
