//! All frames of a zstd file, one after the other: clients write several, and skippable ones between and after them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Reads what is in the frames of `source`. No frame may want a window of more than the decoder accepts by itself, which is
/// as much as the reference implementation does.
pub(crate) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// Whether the decoder is in a frame.
    within: bool,
}

impl<R: BufRead> Frames<R> {
    pub fn new(source: R) -> Frames<R> {
        Frames {
            source,
            decoder: FrameDecoder::new(),
            within: false,
        }
    }

    /// Begins the next frame that has content; tells whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped =
                        io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                    if skipped != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within && !self.begin()? {
                return Ok(0);
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.decoder.is_finished() {
                self.within = false;
                continue;
            }
            let one = BlockDecodingStrategy::UptoBlocks(1);
            let decoded = self.decoder.decode_blocks(&mut self.source, one);
            decoded.map_err(io::Error::other)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    fn skippable(content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("it is short");
        [
            &0x184D_2A5E_u32.to_le_bytes()[..],
            &length.to_le_bytes(),
            content,
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // A buffer in which no header fits.
        Frames::new(BufReader::with_capacity(3, bytes)).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn frames_follow_each_other() {
        let long = vec![7; 1 << 20];
        let all = [
            frame(b"ab"),
            skippable(b"x"),
            frame(b""),
            frame(&long),
            skippable(&[0; 99]),
        ]
        .concat();
        assert_eq!(
            read(&all).expect("readable"),
            [b"ab", long.as_slice()].concat()
        );
        assert_eq!(read(b"").expect("nothing"), b"");
    }

    #[test]
    fn what_is_cut_off_is_no_end() {
        let whole = [frame(b"ab"), skippable(b"xyz")].concat();
        for end in 1..whole.len() {
            let is_end = end == frame(b"ab").len();
            assert_eq!(read(&whole[..end]).is_ok(), is_end, "{end}");
        }
        read(b"no frame at all").expect_err("none");
    }
}
