//! The text format into the binary format.

use crate::error::{Error, ErrorKind, Result};
use crate::shown::shown;

/// The longest text that is translated. The translator holds a syntax tree of up to a hundred
/// times the text, so this cap, and not the guest's, is what bounds it; programs that large are
/// binaries.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Translates a text; `name` is what errors call it.
pub(crate) fn translate(name: &str, text: &[u8]) -> Result<Vec<u8>> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{name} has {} bytes of WebAssembly text and the cap is {MAX_TEXT_BYTES}: translate it to a .wasm file first",
                text.len()
            ),
        ));
    }
    match wat::parse_bytes(text) {
        Ok(binary) => Ok(binary.into_owned()),
        Err(error) => Err(Error::new(
            ErrorKind::Invalid,
            one_line(name, &error.to_string()),
        )),
    }
}

/// The translator draws its errors over several lines, with the place in a line of its own
/// (`--> <anon>:2:7`); ours are one line that starts with the place, as compilers do.
fn one_line(name: &str, drawn: &str) -> String {
    let what = shown(drawn.lines().next().unwrap_or_default());
    let place = drawn
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("--> <anon>:"))
        .map(|place| format!(":{place}"))
        .unwrap_or_default();
    format!("{name}{place}: not valid WebAssembly text: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_text_is_one_line_with_its_place() {
        let error = translate("app.wat", b"(module\n  (fun))").expect_err("no such field");
        assert_eq!(
            error.to_string(),
            "app.wat:2:4: not valid WebAssembly text: expected valid module field"
        );
    }

    #[test]
    fn text_is_translated_only_up_to_a_cap() {
        let text = vec![b' '; MAX_TEXT_BYTES + 1];
        let error = translate("app.wat", &text).expect_err("over the cap");
        assert!(error.to_string().contains("16777217 bytes"), "{error}");
    }
}
