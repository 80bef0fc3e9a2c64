//! The JSON Schema of files, made from the types.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::RunFile;

pub(super) fn of_a_file() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<RunFile>();
    schema.insert("title".into(), "A run of wasmrun".into());
    // Where a file differs from a config.
    if let Some(stdin) = schema.pointer_mut("/properties/stdin") {
        stdin["default"] = "inherit".into();
    }
    let mut plain = RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = plain(text);
        }
    });
    plain.transform(&mut schema);
    schema.to_value()
}

/// Documentation without examples, which are of Rust, and without the links of rustdoc, which lead nowhere else.
fn plain(text: &str) -> String {
    let text = text.split("```").next().unwrap_or_default();
    let mut plain = String::new();
    let mut rest = text.trim_end();
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((words, after)) = link.split_once(']') else {
            break;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        rest = match target {
            Some((_, after)) => {
                plain.push_str(words);
                after
            }
            None if words.starts_with('`') => {
                plain.push_str(words);
                after
            }
            None => {
                plain.push('[');
                link
            }
        };
    }
    plain.push_str(rest);
    let paragraphs = plain.split("\n\n").map(|lines| lines.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_description_is_plain() {
        let text = "`argv[0]` of\n[`Run`](crate::Run) or [`X`], [the](b) end.\n\nMore.\n\n```\ncode[0]\n```\nx";
        assert_eq!(plain(text), "`argv[0]` of `Run` or `X`, the end.\n\nMore.");
    }
}
