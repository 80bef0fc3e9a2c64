//! Closures with types, as functions of the host.

use crate::guest::{FuncSignature, ValueType};

use super::call::HostCall;
use super::function::{Body, Failure};
use super::future::{Async, wait};
use super::memory::MemoryError;

/// What can be a function of the host: closures of up to twelve [parameters](HostParam), whose first may be a
/// `&mut HostCall`, [`Async`] ones, [`Dynamic`](super::Dynamic) and [`RawFunction`](super::RawFunction). `Marker` tells them
/// apart, and is inferred.
pub trait IntoHostFunction<Marker> {
    /// Its type.
    fn signature(&self) -> FuncSignature;

    /// Whether it is given a [`HostCall`].
    #[doc(hidden)]
    fn sees_guest(&self) -> bool {
        true
    }

    /// See [`HostFunction::reads`](crate::HostFunction::reads).
    #[doc(hidden)]
    fn reads(&self) -> Option<usize> {
        None
    }

    /// See [`HostFunction::other_memory`](crate::HostFunction::other_memory).
    #[doc(hidden)]
    fn other_memory(&self) -> Option<String> {
        None
    }

    /// The function without its types.
    #[doc(hidden)]
    fn into_body(self) -> Box<Body>;
}

/// A value of WebAssembly, as Rust has it.
pub trait HostValue: Sized {
    /// Its type.
    const TYPE: ValueType;

    /// The value in the first slots.
    #[doc(hidden)]
    fn from_slots(slots: &[u64]) -> Self;

    /// Puts it into the first slots.
    #[doc(hidden)]
    fn into_slots(self, slots: &mut [u64]);
}

/// What a function of the host takes: a [value](HostValue), or what is made of several.
pub trait HostParam: Sized {
    /// The types it is made of.
    const TYPES: &'static [ValueType];

    /// How many slots they fill.
    #[doc(hidden)]
    const SLOTS: usize;

    /// Makes it of what is in the first slots.
    #[doc(hidden)]
    fn from_slots(slots: &[u64]) -> Self;
}

/// What a function of the host gives back, and what one of the guest takes and gives back: nothing, a
/// [value](HostValue), or a tuple of values.
pub trait HostValues: Sized {
    /// The types it is made of.
    fn types() -> Vec<ValueType>;

    /// Makes it of what is in the first slots.
    #[doc(hidden)]
    fn from_slots(slots: &[u64]) -> Self;

    /// Puts it into the first slots.
    #[doc(hidden)]
    fn into_slots(self, slots: &mut [u64]);
}

/// [`HostValues`], plain or in a `Result`.
pub trait HostReturn {
    /// Where nothing went wrong.
    type Results: HostValues;

    /// The results, or why there are none.
    #[doc(hidden)]
    fn into_results(self) -> Result<Self::Results, Failure>;
}

impl<R: HostValues> HostReturn for R {
    type Results = R;

    fn into_results(self) -> Result<R, Failure> {
        Ok(self)
    }
}

impl<R: HostValues, E: Into<Failure>> HostReturn for Result<R, E> {
    type Results = R;

    fn into_results(self) -> Result<R, Failure> {
        self.map_err(Into::into)
    }
}

// ---- values -----------------------------------------------------------------------------------------

macro_rules! value {
    ($type:ty, $ty:ident, |$slot:ident| $from:expr, |$value:ident| $into:expr) => {
        impl HostValue for $type {
            const TYPE: ValueType = ValueType::$ty;

            fn from_slots(slots: &[u64]) -> Self {
                let $slot = slots[0];
                $from
            }

            fn into_slots(self, slots: &mut [u64]) {
                let $value = self;
                slots[0] = $into;
            }
        }
    };
}

value!(i32, I32, |slot| slot as i32, |value| value
    .cast_unsigned()
    .into());
value!(u32, I32, |slot| slot as u32, |value| value.into());
value!(i64, I64, |slot| slot.cast_signed(), |value| value
    .cast_unsigned());
value!(u64, I64, |slot| slot, |value| value);
value!(f32, F32, |slot| f32::from_bits(slot as u32), |value| value
    .to_bits()
    .into());
value!(f64, F64, |slot| f64::from_bits(slot), |value| value
    .to_bits());

impl HostValue for [u8; 16] {
    const TYPE: ValueType = ValueType::V128;

    fn from_slots(slots: &[u64]) -> Self {
        let value = u128::from(slots[1]) << 64 | u128::from(slots[0]);
        value.to_le_bytes()
    }

    fn into_slots(self, slots: &mut [u64]) {
        let value = u128::from_le_bytes(self);
        slots[0] = value as u64;
        slots[1] = (value >> 64) as u64;
    }
}

impl<V: HostValue> HostParam for V {
    const TYPES: &'static [ValueType] = &[V::TYPE];
    const SLOTS: usize = V::TYPE.slots();

    fn from_slots(slots: &[u64]) -> Self {
        V::from_slots(slots)
    }
}

impl<V: HostValue> HostValues for V {
    fn types() -> Vec<ValueType> {
        vec![V::TYPE]
    }

    fn from_slots(slots: &[u64]) -> Self {
        V::from_slots(slots)
    }

    fn into_slots(self, slots: &mut [u64]) {
        V::into_slots(self, slots);
    }
}

// ---- parts of memory --------------------------------------------------------------------------------

/// Bytes in the guest's memory: an address and a length, which the guest passes as two `i32` or, of a 64-bit memory, as
/// two `i64`: `GuestSlice<u64>`. Whether there is such a part of the memory is found out when it is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSlice<A = u32> {
    /// Where it begins.
    pub address: A,
    /// Its length in bytes.
    pub length: A,
}

impl<A: Into<u64>> GuestSlice<A> {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// As for [`HostCall::read`].
    pub fn read(self, call: &mut HostCall<'_>) -> Result<Vec<u8>, MemoryError> {
        call.read_vec(self.address, self.length)
    }

    /// Works on the bytes in their place, as [`HostCall::with_bytes`] does.
    ///
    /// # Errors
    ///
    /// As for [`HostCall::read`].
    pub fn with<R>(
        self,
        call: &mut HostCall<'_>,
        work: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryError> {
        call.with_bytes(self.address, self.length, work)
    }
}

/// A text in the guest's memory: as [`GuestSlice`], of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestStr<A = u32> {
    /// Where it begins.
    pub address: A,
    /// Its length in bytes.
    pub length: A,
}

impl<A: Into<u64>> GuestStr<A> {
    /// The text.
    ///
    /// # Errors
    ///
    /// As for [`HostCall::read_str`].
    pub fn read(self, call: &mut HostCall<'_>) -> Result<String, MemoryError> {
        call.read_str(self.address, self.length)
    }
}

macro_rules! part {
    ($type:ident<$address:ty>) => {
        impl HostParam for $type<$address> {
            const TYPES: &'static [ValueType] = &[<$address>::TYPE; 2];
            const SLOTS: usize = 2;

            fn from_slots(slots: &[u64]) -> Self {
                $type {
                    address: slots[0] as $address,
                    length: slots[1] as $address,
                }
            }
        }
    };
}

part!(GuestSlice<u32>);
part!(GuestSlice<u64>);
part!(GuestStr<u32>);
part!(GuestStr<u64>);

// ---- tuples and closures ----------------------------------------------------------------------------

impl HostValues for () {
    fn types() -> Vec<ValueType> {
        Vec::new()
    }

    fn from_slots(_: &[u64]) -> Self {}

    fn into_slots(self, _: &mut [u64]) {}
}

fn signature<R: HostReturn>(params: &[&[ValueType]]) -> FuncSignature {
    FuncSignature {
        params: params.concat(),
        results: R::Results::types(),
    }
}

/// Puts what a closure returned where the guest finds it.
fn put<R: HostReturn>(returned: R, slots: &mut [u64]) -> Result<(), Failure> {
    returned.into_results()?.into_slots(slots);
    Ok(())
}

/// Makes variables of the parameters in the slots.
macro_rules! take {
    ($slots:ident;) => {
        let _ = &$slots;
    };
    ($slots:ident; $($param:ident)*) => {
        let rest = &*$slots;
        $(
            let ($param, rest) = ($param::from_slots(rest), &rest[$param::SLOTS..]);
        )*
        let _ = rest;
    };
}

macro_rules! closures {
    ($($param:ident)*) => {
        impl<F, R, $($param),*> IntoHostFunction<fn($($param),*) -> R> for F
        where
            F: Fn($($param),*) -> R + Send + Sync + 'static,
            R: HostReturn,
            $($param: HostParam,)*
        {
            fn signature(&self) -> FuncSignature {
                signature::<R>(&[$($param::TYPES),*])
            }

            fn sees_guest(&self) -> bool {
                false
            }

            #[allow(non_snake_case, reason = "a parameter is called as its type")]
            fn into_body(self) -> Box<Body> {
                Box::new(move |_, slots| {
                    take!(slots; $($param)*);
                    put(self($($param),*), slots)
                })
            }
        }

        impl<F, R, $($param),*> IntoHostFunction<fn(&mut HostCall<'_>, $($param),*) -> R> for F
        where
            F: Fn(&mut HostCall<'_>, $($param),*) -> R + Send + Sync + 'static,
            R: HostReturn,
            $($param: HostParam,)*
        {
            fn signature(&self) -> FuncSignature {
                signature::<R>(&[$($param::TYPES),*])
            }

            #[allow(non_snake_case, reason = "a parameter is called as its type")]
            fn into_body(self) -> Box<Body> {
                Box::new(move |call, slots| {
                    take!(slots; $($param)*);
                    put(self(call, $($param),*), slots)
                })
            }
        }

        impl<F, R, $($param),*> IntoHostFunction<fn($($param),*) -> R> for Async<F>
        where
            F: AsyncFn($($param),*) -> R + Send + Sync + 'static,
            R: HostReturn,
            $($param: HostParam,)*
        {
            fn signature(&self) -> FuncSignature {
                signature::<R>(&[$($param::TYPES),*])
            }

            #[allow(non_snake_case, reason = "a parameter is called as its type")]
            fn into_body(self) -> Box<Body> {
                Box::new(move |call, slots| {
                    take!(slots; $($param)*);
                    put(wait(&call.control(), (self.0)($($param),*))?, slots)
                })
            }
        }

        impl<F, R, $($param),*> IntoHostFunction<fn(&mut HostCall<'_>, $($param),*) -> R> for Async<F>
        where
            F: AsyncFn(&mut HostCall<'_>, $($param),*) -> R + Send + Sync + 'static,
            R: HostReturn,
            $($param: HostParam,)*
        {
            fn signature(&self) -> FuncSignature {
                signature::<R>(&[$($param::TYPES),*])
            }

            #[allow(non_snake_case, reason = "a parameter is called as its type")]
            fn into_body(self) -> Box<Body> {
                Box::new(move |call, slots| {
                    take!(slots; $($param)*);
                    put(wait(&call.control(), (self.0)(call, $($param),*))?, slots)
                })
            }
        }
    };
}

macro_rules! tuples {
    ($($value:ident)*) => {
        impl<$($value: HostValue),*> HostValues for ($($value,)*) {
            fn types() -> Vec<ValueType> {
                vec![$($value::TYPE),*]
            }

            fn from_slots(slots: &[u64]) -> Self {
                let mut rest = slots;
                let values = ($({
                    let (own, behind) = rest.split_at($value::TYPE.slots());
                    let value = $value::from_slots(own);
                    rest = behind;
                    value
                },)*);
                let _ = rest;
                values
            }

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn into_slots(self, slots: &mut [u64]) {
                let ($($value,)*) = self;
                let rest = slots;
                $(
                    let (own, rest) = rest.split_at_mut($value::TYPE.slots());
                    $value.into_slots(own);
                )*
                let _ = rest;
            }
        }
    };
}

macro_rules! up_to_twelve {
    ($each:ident) => {
        $each!(A);
        $each!(A B);
        $each!(A B C);
        $each!(A B C D);
        $each!(A B C D E);
        $each!(A B C D E G);
        $each!(A B C D E G H);
        $each!(A B C D E G H I);
        $each!(A B C D E G H I J);
        $each!(A B C D E G H I J K);
        $each!(A B C D E G H I J K L);
        $each!(A B C D E G H I J K L M);
    };
}

closures!();
up_to_twelve!(closures);
up_to_twelve!(tuples);
