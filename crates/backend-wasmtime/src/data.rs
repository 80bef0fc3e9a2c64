//! How a guest's memory comes by the data it begins with, and how they are kept with its code.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use wasmrun_core::{Compile, Error, ErrorKind, Result, fingerprint, guest};
use wasmrun_memory::Image;

/// Change with what is kept: a part of the identity of code.
pub(crate) const FINGERPRINTS: [u64; 2] =
    [fingerprint([include_bytes!("data.rs")]), guest::FINGERPRINT];

/// How a guest's memory comes by the data it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// wasmtime copies them there.
    Copied,
    /// The memory is made with them, in address space that is kept.
    Kept,
    /// wasmtime makes a memory with them.
    Mapped,
}

/// So many bytes are copied in less time than it takes to be told of the first access to them.
const FEW_BYTES: u64 = if cfg!(target_os = "linux") {
    32 << 10
} else {
    4 << 10
};

/// Each segment that is copied is a call, whatever is in it.
const FEW_SEGMENTS: u64 = 8;

impl Data {
    pub(crate) fn of(Compile { guest, options, .. }: Compile<'_>) -> Self {
        let bytes = guest.data_size();
        let are_few = bytes <= FEW_BYTES && guest.data_segments() <= FEW_SEGMENTS;
        // What is copied takes fuel.
        if are_few && (bytes == 0 || !options.fuel) {
            return Data::Copied;
        }
        let is_dense = guest
            .data_range()
            .is_some_and(|range| range.end - range.start <= bytes.saturating_mul(2));
        if cfg!(target_os = "linux") && is_dense {
            Data::Kept
        } else {
            Data::Mapped
        }
    }
}

/// A guest as wasmtime is to compile it and, apart from it, the data that its memory is to be made with, unless
/// wasmtime sees to them.
///
/// # Errors
///
/// Those of [`Guest::without_data`](wasmrun_core::Guest::without_data) and [`Image::new`].
pub(crate) fn apart(compile: Compile<'_>) -> Result<(Cow<'_, [u8]>, Option<Image>)> {
    let whole = Cow::Borrowed(compile.guest.bytes());
    if Data::of(compile) != Data::Kept {
        return Ok((whole, None));
    }
    let Some(apart) = compile.guest.without_data()? else {
        return Ok((whole, None));
    };
    let image = usize::try_from(apart.at)
        .map_err(io::Error::other)
        .and_then(|at| Image::new(at, &apart.data));
    let image = image.map_err(|source| {
        Error::new(ErrorKind::Engine, "cannot have the guest's data").with_source(source)
    })?;
    Ok((apart.binary.into(), Some(image)))
}

/// The end of an artifact that has data: where they go and how many they are, least significant byte first, and
/// this. They are right before it.
const MARK: [u8; 8] = *b"\0wr-data";
const TRAILER: usize = 8 + 8 + MARK.len();

/// A multiple of any system's pages.
const PAGES: usize = 64 << 10;

/// An artifact of code with the data behind it, if any.
///
/// # Errors
///
/// What the system says if the data cannot be read.
pub(crate) fn artifact(mut code: Vec<u8>, image: Option<&Image>) -> io::Result<Vec<u8>> {
    let Some(image) = image else {
        return Ok(code);
    };
    let (place, data) = (image.place(), image.bytes()?);
    let begin = code.len().next_multiple_of(PAGES);
    code.reserve_exact(begin - code.len() + data.len() + TRAILER);
    code.resize(begin, 0);
    code.extend(data);
    code.extend((place.start as u64).to_le_bytes());
    code.extend((place.len() as u64).to_le_bytes());
    code.extend(MARK);
    Ok(code)
}

/// The data behind the code of an artifact.
///
/// # Errors
///
/// What the system says if the file cannot be read; [`InvalidData`](io::ErrorKind::InvalidData) if this cannot be
/// what [`artifact`] made.
///
/// # Safety
///
/// The file does not change as long as the image, or a memory that began with it, is there.
pub(crate) unsafe fn behind(mut file: &File) -> io::Result<Option<Image>> {
    let mut trailer = [0; TRAILER];
    let end = file.seek(SeekFrom::End(-(TRAILER as i64)))?;
    file.read_exact(&mut trailer)?;
    let ([at, length, mark], []) = trailer.as_chunks() else {
        return Ok(None);
    };
    if *mark != MARK {
        return Ok(None);
    }
    let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
    let place = || {
        let (at, length) = (number(at)?, number(length)?);
        Some((end.checked_sub(length as u64)?, at..at.checked_add(length)?))
    };
    let (from, place) = place().ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: the file has so much, and the caller says that it does not change.
    unsafe { Image::in_file(file.try_clone()?, from, place) }.map(Some)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    fn behind_of(content: &[u8]) -> io::Result<Option<Image>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("artifact");
        fs::write(&path, content)?;
        // SAFETY: nobody writes to it.
        unsafe { behind(&File::open(path)?) }
    }

    #[test]
    fn data_are_found_behind_code() {
        let image = Image::new(70_000, &[7; 5000]).expect("an image");
        let code = vec![1; 100_000];
        let artifact = artifact(code.clone(), Some(&image)).expect("readable");
        assert!(artifact.starts_with(&code));
        let found = behind_of(&artifact).expect("sound").expect("there");
        assert_eq!(found.place(), image.place());
        let bytes = found.bytes().expect("readable");
        assert_eq!(bytes, image.bytes().expect("readable"));
        assert!(behind_of(&code).expect("sound").is_none());
    }

    #[test]
    fn what_cannot_be_there_is_an_error() {
        let trailer = |at: u64, length: u64| {
            let numbers = [at.to_le_bytes(), length.to_le_bytes(), MARK];
            [vec![0; PAGES], numbers.concat()].concat()
        };
        let whole = PAGES as u64;
        assert!(behind_of(&trailer(0, whole)).is_ok_and(|image| image.is_some()));
        for (at, length) in [
            (0, 0),
            (0, 1),
            (1, whole),
            (0, 2 * whole),
            (u64::MAX - whole + 1, whole),
            (0, u64::MAX),
        ] {
            assert!(behind_of(&trailer(at, length)).is_err(), "{at} {length}");
        }
        assert!(behind_of(b"short").is_err());
    }
}
