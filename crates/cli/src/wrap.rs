//! Lists of words, under a label, in lines that fit a terminal.

/// The longest line.
const WIDTH: usize = 100;
/// Where the words stand, after a label.
const INDENT: usize = 14;

/// `  label       one, two, three`, continued under the first word.
pub fn labelled(label: &str, words: &[impl AsRef<str>]) -> String {
    let mut text = format!("  {label:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for (place, word) in words.iter().enumerate() {
        let word = word.as_ref();
        let comma = if place + 1 < words.len() { "," } else { "" };
        let length = word.chars().count() + comma.len();
        if column > INDENT && column + 1 + length > WIDTH {
            text.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        }
        if column > INDENT {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        text.push_str(comma);
        column += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_continue_under_the_first() {
        assert_eq!(labelled("entry", &["_start"]), "  entry       _start\n");
        let text = labelled("lacks", &["abcdefghi"; 20]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        assert!(lines[1].starts_with("              abc"), "{text}");
    }
}
