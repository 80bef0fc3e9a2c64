//! The ends of what numbers can say, where wasmtime-wasi stops short of them or goes beyond: the last
//! address of a memory, and the last offset of a file.

use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Filesize, Size};
use wiggle::error::{Error, Result as Called};
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::call::{SUCCESS, guest_error, pointer, refused};
use crate::{Stop, Wasi};

/// Whether an address was counted that is one too many: the one behind a buffer that ends with a memory of 4 GiB.
fn is_beyond(error: &Error) -> bool {
    guest_error(error) == Some(&GuestError::PtrOverflow)
}

/// What comes of a call that failed behind a buffer. If that ends with the memory, all is done by then, and the
/// buffer full; but how much that is, if there is a place for it, has not been said.
pub(crate) fn filled(
    error: Error,
    memory: &mut GuestMemory<'_>,
    [buffer, length]: [i32; 2],
    used: Option<i32>,
) -> Result<i32, Stop> {
    let [begin, length] = [buffer, length].map(i32::cast_unsigned);
    if !is_beyond(&error) || u64::from(begin) + u64::from(length) != 1 << 32 {
        return refused(error);
    }
    if let Some(used) = used {
        let written = memory.write(pointer::<Size>(used), length);
        written.map_err(Stop::trap)?;
    }
    Ok(SUCCESS)
}

/// What comes of `args_get` or `environ_get` if an address was one too many: made elsewhere and copied, it may be
/// within the memory.
pub(crate) fn strings(
    error: Error,
    context: &mut WasiP1Ctx,
    memory: &mut GuestMemory<'_>,
    [pointers, bytes]: [i32; 2],
    sizes: impl FnOnce(&mut WasiP1Ctx, &mut GuestMemory<'_>) -> Called<i32>,
    get: impl FnOnce(&mut WasiP1Ctx, &mut GuestMemory<'_>, i32) -> Called<i32>,
) -> Result<i32, Stop> {
    if !is_beyond(&error) {
        return refused(error);
    }
    // Nothing but these can fail, and they do so in the guest's own memory.
    let mut found = vec![0; 8];
    sizes(context, &mut GuestMemory::Unshared(&mut found)).map_err(Stop::trap)?;
    let found = GuestMemory::Unshared(&mut found);
    let [count, length] = [0, 4].map(|at| found.read(pointer::<Size>(at)));
    let (count, length) = (count.map_err(Stop::trap)?, length.map_err(Stop::trap)?);
    let array = 4 * count;
    let mut own = vec![0; (array + length) as usize];
    let strings = array.cast_signed();
    get(context, &mut GuestMemory::Unshared(&mut own), strings).map_err(Stop::trap)?;
    let (array, strings) = own.split_at_mut(array as usize);
    let moved_by = bytes.cast_unsigned().wrapping_sub(4 * count);
    for pointer in array.as_chunks_mut().0 {
        *pointer = u32::from_le_bytes(*pointer)
            .wrapping_add(moved_by)
            .to_le_bytes();
    }
    for (bytes, to) in [(array, pointers), (strings, bytes)] {
        let to = GuestPtr::<[u8]>::new((to.cast_unsigned(), bytes.len() as u32));
        memory.copy_from_slice(bytes, to).map_err(Stop::trap)?;
    }
    Ok(SUCCESS)
}

/// Seeks forward from an offset that is not known, by `seek` or back by `reset`: there is no offset that `i64`
/// cannot say.
pub(crate) fn seek_forward(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    position: i32,
    tell: impl FnOnce(&mut Wasi, &mut GuestMemory<'_>) -> Result<i32, Stop>,
    seek: impl FnOnce(&mut Wasi, &mut GuestMemory<'_>) -> Result<i32, Stop>,
    reset: impl FnOnce(&mut Wasi, &mut GuestMemory<'_>, i64) -> Result<i32, Stop>,
) -> Result<i32, Stop> {
    let mut own = vec![0; size_of::<Filesize>()];
    let mut own = GuestMemory::Unshared(&mut own);
    let told = |own: &GuestMemory<'_>| own.read(pointer::<Filesize>(0)).map_err(Stop::trap);
    let errno = tell(wasi, &mut own)?;
    if errno != SUCCESS {
        return Ok(errno);
    }
    let before = told(&own)?;
    let errno = seek(wasi, &mut own)?;
    if errno != SUCCESS {
        return Ok(errno);
    }
    let offset = told(&own)?;
    if i64::try_from(offset).is_err() {
        reset(wasi, &mut own, before.cast_signed())?;
        return Ok(Errno::Inval as i32);
    }
    let written = memory.write(pointer::<Filesize>(position), offset);
    written.map_err(Stop::trap)?;
    Ok(SUCCESS)
}

/// A buffer in pieces, each with its address and length. What would go beyond the last address stays
/// whole, so that it is refused.
pub(crate) fn pieces(buffer: i32, length: i32) -> impl Iterator<Item = (i32, i32)> {
    const PIECE: u32 = 64 << 10;
    let (begin, whole) = (buffer.cast_unsigned(), length.cast_unsigned());
    let size = match u64::from(begin) + u64::from(whole) <= 1 << 32 {
        true => PIECE,
        false => u32::MAX,
    };
    (0..whole.div_ceil(size).max(1)).map(move |number| {
        let done = number * size;
        let piece = (whole - done).min(size);
        ((begin + done).cast_signed(), piece.cast_signed())
    })
}
