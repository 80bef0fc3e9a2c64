//! Functions of the caller's, whose types are known when a component is: lifted and lowered along those.
//!
//! The rules are those of [`lift`](super::lift) and [`lower`](super::lower), over values that say what they are.

use wasmrun_core::guest::{
    ComponentFunction, ComponentSignature, ComponentType, FuncSignature, ValueType,
};
use wasmrun_core::{ComponentValue, InterfaceFunction};
use wasmtime::{Result, bail, format_err};

use super::call::{MOST_PARAMS, Shape, signature};
use super::lift::{Lifting, Slots};
use super::lower::{Lowering, Wish, Wishes};
use super::types::discriminant_size;

/// A function of the caller's, as a component imports it.
pub(crate) struct Dynamic {
    pub(crate) import: ComponentFunction,
    pub(crate) function: InterfaceFunction,
}

impl Dynamic {
    /// Its type, lowered. `None` for one with values that no function of the host takes.
    pub(crate) fn signature(&self) -> Option<FuncSignature> {
        let ComponentSignature { params, result, .. } = &*self.import.signature;
        let params = params.iter().map(|(_, ty)| flat(ty));
        let params = params.collect::<Option<Vec<_>>>()?.concat();
        let results = match result {
            None => Vec::new(),
            Some(ty) => flat(ty)?,
        };
        let allocates = result.as_ref().is_some_and(allocates);
        Some(signature(params, results, allocates))
    }

    /// What it is called with.
    pub(crate) fn params(
        &self,
        from: &mut Slots<'_>,
        cx: &mut Lifting<'_, '_>,
    ) -> Result<Vec<ComponentValue>> {
        let types = || self.import.signature.params.iter().map(|(_, ty)| ty);
        let count: usize = types().map(flat_count).sum();
        if count <= MOST_PARAMS {
            return types().map(|ty| lift(ty, from, cx)).collect();
        }
        let (mut members, mut align) = (Members::default(), 1);
        let places: Vec<_> = types()
            .map(|ty| {
                align = align.max(self::align(ty));
                members.next(ty)
            })
            .collect();
        let bytes = cx.record(from.next_u32()?, members.end.next_multiple_of(align), align)?;
        let each = types().zip(places);
        each.map(|(ty, at)| load(ty, part(&bytes, at, ty), cx))
            .collect()
    }
}

/// A value with its type, to be put where a component finds it.
pub(crate) struct Typed {
    pub(crate) value: ComponentValue,
    pub(crate) ty: ComponentType,
}

impl Typed {
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            flat_count: flat_count(&self.ty),
            size: size(&self.ty),
            align: align(&self.ty),
            allocates: allocates(&self.ty),
        }
    }

    pub(crate) fn wish(&self, wishes: &mut Wishes) -> Result<()> {
        wish(&self.value, &self.ty, wishes)
    }

    pub(crate) fn store(&self, at: u32, to: &mut Lowering<'_, '_>) -> Result<()> {
        store(&self.value, &self.ty, at, to)
    }
}

// ---- types ------------------------------------------------------------------------------------------

/// Where the members of a record are, one after the other.
#[derive(Default)]
struct Members {
    end: u32,
}

impl Members {
    fn next(&mut self, ty: &ComponentType) -> u32 {
        let at = self.end.next_multiple_of(align(ty));
        self.end = at.saturating_add(size(ty));
        at
    }
}

/// What the cases of a variant have, or of what is one.
fn cases(ty: &ComponentType) -> Vec<Option<&ComponentType>> {
    match ty {
        ComponentType::Variant(cases) => cases.iter().map(|(_, ty)| ty.as_ref()).collect(),
        ComponentType::Option(some) => vec![None, Some(some)],
        ComponentType::Result(types) => vec![types.0.as_ref(), types.1.as_ref()],
        _ => Vec::new(),
    }
}

fn members(ty: &ComponentType) -> Vec<&ComponentType> {
    match ty {
        ComponentType::Record(fields) => fields.iter().map(|(_, ty)| ty).collect(),
        ComponentType::Tuple(types) => types.iter().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn align(ty: &ComponentType) -> u32 {
    use ComponentType as T;
    match ty {
        T::Bool | T::S8 | T::U8 => 1,
        T::S16 | T::U16 => 2,
        T::S64 | T::U64 | T::F64 => 8,
        T::Enum(names) => discriminant_size(names.len()),
        T::Flags(names) => flags_size(names.len()).min(4),
        T::Record(_) | T::Tuple(_) => members(ty).into_iter().map(align).max().unwrap_or(1),
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            discriminant_size(cases(ty).len()).max(align_of_cases(ty))
        }
        _ => 4,
    }
}

fn align_of_cases(ty: &ComponentType) -> u32 {
    let cases = cases(ty).into_iter().flatten();
    cases.map(align).max().unwrap_or(1)
}

/// Where in a variant is what a case has.
fn payload_at(ty: &ComponentType) -> u32 {
    discriminant_size(cases(ty).len()).next_multiple_of(align_of_cases(ty))
}

pub(super) fn size(ty: &ComponentType) -> u32 {
    use ComponentType as T;
    let bytes = match ty {
        T::Bool | T::S8 | T::U8 => 1,
        T::S16 | T::U16 => 2,
        T::S64 | T::U64 | T::F64 | T::String | T::List(_) => 8,
        T::Enum(names) => discriminant_size(names.len()),
        T::Flags(names) => flags_size(names.len()),
        T::Record(_) | T::Tuple(_) => {
            let mut all = Members::default();
            for ty in members(ty) {
                all.next(ty);
            }
            all.end
        }
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            let largest = cases(ty).into_iter().flatten().map(size).max();
            payload_at(ty).saturating_add(largest.unwrap_or(0))
        }
        _ => 4,
    };
    bytes
        .checked_next_multiple_of(align(ty))
        .unwrap_or(u32::MAX)
}

fn flags_size(flags: usize) -> u32 {
    match flags {
        0..=8 => 1,
        9..=16 => 2,
        more => 4 * more.div_ceil(32) as u32,
    }
}

pub(super) fn flat_count(ty: &ComponentType) -> usize {
    use ComponentType as T;
    match ty {
        T::String | T::List(_) => 2,
        T::Flags(names) => names.len().div_ceil(32).max(1),
        T::Record(_) | T::Tuple(_) => members(ty).into_iter().map(flat_count).sum(),
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            1 + cases(ty)
                .into_iter()
                .flatten()
                .map(flat_count)
                .max()
                .unwrap_or(0)
        }
        _ => 1,
    }
}

fn flat(ty: &ComponentType) -> Option<Vec<ValueType>> {
    use ComponentType as T;
    use ValueType::{F32, F64, I32, I64};
    Some(match ty {
        T::S64 | T::U64 => vec![I64],
        T::F32 => vec![F32],
        T::F64 => vec![F64],
        T::String | T::List(_) => vec![I32, I32],
        T::Flags(_) => vec![I32; flat_count(ty)],
        T::Record(_) | T::Tuple(_) => {
            let members = members(ty).into_iter().map(flat);
            members.collect::<Option<Vec<_>>>()?.concat()
        }
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            let mut all = vec![I32];
            for case in cases(ty).into_iter().flatten() {
                for (place, ty) in (1..).zip(flat(case)?) {
                    match all.get_mut(place) {
                        None => all.push(ty),
                        Some(other) if *other == ty => {}
                        Some(other @ (I32 | F32)) if matches!(ty, I32 | F32) => *other = I32,
                        Some(other) => *other = I64,
                    }
                }
            }
            all
        }
        T::Own(_) | T::Borrow(_) | T::Other(_) => return None,
        _ => vec![I32],
    })
}

pub(super) fn allocates(ty: &ComponentType) -> bool {
    match ty {
        ComponentType::String | ComponentType::List(_) => true,
        _ => {
            members(ty).into_iter().any(allocates) || cases(ty).into_iter().flatten().any(allocates)
        }
    }
}

// ---- from the component -----------------------------------------------------------------------------

fn part<'a>(bytes: &'a [u8], at: u32, ty: &ComponentType) -> &'a [u8] {
    let at = at as usize;
    bytes.get(at..at + size(ty) as usize).unwrap_or_default()
}

/// The value of a type that is one core value, of its bits.
fn scalar(ty: &ComponentType, bits: u64) -> Result<ComponentValue> {
    use ComponentType as T;
    use ComponentValue as V;
    Ok(match ty {
        T::Bool => V::Bool(bits as u32 != 0),
        T::S8 => V::S8(bits as i8),
        T::U8 => V::U8(bits as u8),
        T::S16 => V::S16(bits as i16),
        T::U16 => V::U16(bits as u16),
        T::S32 => V::S32(bits as i32),
        T::U32 => V::U32(bits as u32),
        T::S64 => V::S64(bits.cast_signed()),
        T::U64 => V::U64(bits),
        T::F32 => V::F32(f32::from_bits(bits as u32)),
        T::F64 => V::F64(f64::from_bits(bits)),
        T::Char => match char::from_u32(bits as u32) {
            Some(char) => V::Char(char),
            None => bail!("converted integer out of range for `char`"),
        },
        T::Enum(names) => {
            let case = bits as u32;
            let name = names.get(case as usize);
            let name = name.ok_or_else(|| format_err!("unexpected discriminant: {case}"))?;
            V::Enum(name.to_string())
        }
        _ => bail!("no function of the host takes a value of the type {ty}"),
    })
}

fn flags(ty: &ComponentType, words: &[u32]) -> ComponentValue {
    let ComponentType::Flags(names) = ty else {
        return ComponentValue::Flags(Vec::new());
    };
    let is_set = |bit: usize| {
        words
            .get(bit / 32)
            .is_some_and(|word| word >> (bit % 32) & 1 != 0)
    };
    let set = names.iter().enumerate().filter(|(bit, _)| is_set(*bit));
    ComponentValue::Flags(set.map(|(_, name)| name.to_string()).collect())
}

/// A value of a variant, or of what is one.
fn variant(
    ty: &ComponentType,
    case: u32,
    payload: impl FnOnce(&ComponentType) -> Result<ComponentValue>,
) -> Result<ComponentValue> {
    let held = cases(ty).get(case as usize).copied();
    let held = held.ok_or_else(|| match ty {
        ComponentType::Option(_) => format_err!("invalid option discriminant"),
        ComponentType::Result(_) => format_err!("invalid expected discriminant"),
        _ => format_err!("unexpected discriminant: {case}"),
    })?;
    let held = held.map(payload).transpose()?.map(Box::new);
    Ok(match ty {
        ComponentType::Option(_) => ComponentValue::Option(held),
        ComponentType::Result(_) if case == 0 => ComponentValue::Result(Ok(held)),
        ComponentType::Result(_) => ComponentValue::Result(Err(held)),
        ComponentType::Variant(cases) => {
            let name = cases.get(case as usize).map(|(name, _)| name.to_string());
            ComponentValue::Variant(name.unwrap_or_default(), held)
        }
        _ => bail!("{ty} has no cases"),
    })
}

/// A record or a tuple of these members.
fn record(ty: &ComponentType, values: Vec<ComponentValue>) -> ComponentValue {
    match ty {
        ComponentType::Record(fields) => {
            let names = fields.iter().map(|(name, _)| name.to_string());
            ComponentValue::Record(names.zip(values).collect())
        }
        _ => ComponentValue::Tuple(values),
    }
}

fn lift(
    ty: &ComponentType,
    from: &mut Slots<'_>,
    cx: &mut Lifting<'_, '_>,
) -> Result<ComponentValue> {
    use ComponentType as T;
    Ok(match ty {
        T::String => ComponentValue::String(cx.string([from.next_u32()?, from.next_u32()?])?),
        T::List(of) => list(of, [from.next_u32()?, from.next_u32()?], cx)?,
        T::Flags(_) => {
            let words = (0..flat_count(ty)).map(|_| from.next_u32());
            flags(ty, &words.collect::<Result<Vec<_>>>()?)
        }
        T::Record(_) | T::Tuple(_) => {
            let values = members(ty).into_iter().map(|ty| lift(ty, from, cx));
            record(ty, values.collect::<Result<_>>()?)
        }
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            let mut own = from.split_off(flat_count(ty))?;
            let case = own.next_u32()?;
            variant(ty, case, |ty| lift(ty, &mut own, cx))?
        }
        _ => scalar(ty, from.next()?)?,
    })
}

fn load(ty: &ComponentType, bytes: &[u8], cx: &mut Lifting<'_, '_>) -> Result<ComponentValue> {
    use super::lift::{number, pointer};
    use ComponentType as T;
    Ok(match ty {
        T::String => ComponentValue::String(cx.string(pointer(bytes))?),
        T::List(of) => list(of, pointer(bytes), cx)?,
        T::Flags(_) => {
            let words = bytes.chunks(4).map(|word| number(word) as u32);
            flags(ty, &words.collect::<Vec<_>>())
        }
        T::Record(_) | T::Tuple(_) => {
            let mut all = Members::default();
            let values = members(ty)
                .into_iter()
                .map(|ty| load(ty, part(bytes, all.next(ty), ty), cx));
            record(ty, values.collect::<Result<_>>()?)
        }
        T::Variant(_) | T::Option(_) | T::Result(_) => {
            let width = discriminant_size(cases(ty).len()) as usize;
            let case = number(bytes.get(..width).unwrap_or_default()) as u32;
            let at = payload_at(ty);
            variant(ty, case, |ty| load(ty, part(bytes, at, ty), cx))?
        }
        _ => scalar(ty, number(bytes))?,
    })
}

fn list(of: &ComponentType, pointer: [u32; 2], cx: &mut Lifting<'_, '_>) -> Result<ComponentValue> {
    let (width, kept) = (size(of), size_of::<ComponentValue>());
    let bytes = cx.list_bytes(pointer, width, align(of), kept)?;
    if width == 0 {
        bail!("a list of nothing has no end");
    }
    let each = bytes.chunks_exact(width as usize);
    let values = each.map(|bytes| load(of, bytes, cx));
    Ok(ComponentValue::List(values.collect::<Result<_>>()?))
}

// ---- to the component -------------------------------------------------------------------------------

/// What a case is called by number, and what it has: of a value of that type, which core has seen to.
fn case<'a>(value: &'a ComponentValue, ty: &ComponentType) -> (usize, Option<&'a ComponentValue>) {
    match (value, ty) {
        (ComponentValue::Option(some), _) => (some.is_some().into(), some.as_deref()),
        (ComponentValue::Result(Ok(ok)), _) => (0, ok.as_deref()),
        (ComponentValue::Result(Err(err)), _) => (1, err.as_deref()),
        (ComponentValue::Variant(name, held), ComponentType::Variant(cases)) => {
            let number = cases.iter().position(|(case, _)| **case == **name);
            (number.unwrap_or_default(), held.as_deref())
        }
        _ => (0, None),
    }
}

fn values(value: &ComponentValue) -> Vec<&ComponentValue> {
    match value {
        ComponentValue::Record(fields) => fields.iter().map(|(_, value)| value).collect(),
        ComponentValue::Tuple(values) | ComponentValue::List(values) => values.iter().collect(),
        _ => Vec::new(),
    }
}

fn wish(value: &ComponentValue, ty: &ComponentType, wishes: &mut Wishes) -> Result<()> {
    match (value, ty) {
        (ComponentValue::String(text), _) => wishes.add_string(text)?,
        (ComponentValue::List(all), ComponentType::List(of)) => {
            wishes.add(Wish::of(align(of), size(of), all.len())?);
            if allocates(of) {
                all.iter().try_for_each(|value| wish(value, of, wishes))?;
            }
        }
        (ComponentValue::Record(_) | ComponentValue::Tuple(_), _) => {
            let mut both = values(value).into_iter().zip(members(ty));
            both.try_for_each(|(value, ty)| wish(value, ty, wishes))?;
        }
        _ => {
            if let (number, Some(held)) = case(value, ty)
                && let Some(Some(ty)) = cases(ty).get(number)
            {
                wish(held, ty, wishes)?;
            }
        }
    }
    Ok(())
}

fn store(
    value: &ComponentValue,
    ty: &ComponentType,
    at: u32,
    to: &mut Lowering<'_, '_>,
) -> Result<()> {
    use ComponentType as T;
    use ComponentValue as V;
    match (value, ty) {
        (V::Bool(value), _) => to.number(at, u64::from(*value), 1),
        (V::S8(value), _) => to.signed(at, (*value).into(), 1),
        (V::U8(value), _) => to.number(at, (*value).into(), 1),
        (V::S16(value), _) => to.signed(at, (*value).into(), 2),
        (V::U16(value), _) => to.number(at, (*value).into(), 2),
        (V::S32(value), _) => to.signed(at, *value, 4),
        (V::U32(value), _) => to.number(at, (*value).into(), 4),
        (V::S64(value), _) => to.number(at, value.cast_unsigned(), 8),
        (V::U64(value), _) => to.number(at, *value, 8),
        (V::F32(value), _) => to.number(at, value.to_bits().into(), 4),
        (V::F64(value), _) => to.number(at, value.to_bits(), 8),
        (V::Char(value), _) => to.number(at, u32::from(*value).into(), 4),
        (V::String(text), _) => to.string(at, text),
        (V::List(all), T::List(of)) => to.point(at, all.len(), |room, to| {
            let mut members = Members::default();
            all.iter()
                .try_for_each(|value| store(value, of, room + members.next(of), to))
        }),
        (V::Record(_) | V::Tuple(_), _) => {
            let mut all = Members::default();
            let mut both = values(value).into_iter().zip(members(ty));
            both.try_for_each(|(value, ty)| store(value, ty, at + all.next(ty), to))
        }
        (V::Enum(name), T::Enum(names)) => {
            let number = names.iter().position(|case| **case == **name);
            let width = discriminant_size(names.len());
            to.number(at, number.unwrap_or_default() as u64, width)
        }
        (V::Flags(set), T::Flags(names)) => {
            let width = flags_size(names.len()).min(4);
            let mut words = vec![0_u32; names.len().div_ceil(32).max(1)];
            for (bit, name) in names.iter().enumerate() {
                if set.iter().any(|set| **set == **name)
                    && let Some(word) = words.get_mut(bit / 32)
                {
                    *word |= 1 << (bit % 32);
                }
            }
            let mut places = (at..).step_by(4).zip(words);
            places.try_for_each(|(at, word)| to.number(at, word.into(), width))
        }
        (V::Variant(..) | V::Option(_) | V::Result(_), _) => {
            let (number, held) = case(value, ty);
            let cases = cases(ty);
            to.number(at, number as u64, discriminant_size(cases.len()))?;
            match (held, cases.get(number)) {
                (Some(held), Some(Some(of))) => store(held, of, at + payload_at(ty), to),
                _ => Ok(()),
            }
        }
        _ => bail!("a function of the host returned what is not of the type {ty}"),
    }
}
