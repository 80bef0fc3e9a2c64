//! `${NAME}` in the texts of a file: the value of a variable of the host that the file declares to use.

use std::env::VarError;

use super::node::Node;
use super::problem::Problem;

/// The variables that the environment of a config has under their own name.
pub(super) fn copied(config: &mut Node, declared: &[String]) -> Vec<String> {
    let env = config.environment();
    let is_copied = |name: &String| {
        let mut values = env.iter().filter(|(other, _)| *other == name).peekable();
        values.peek().is_some() && values.all(|(_, value)| **value == reference(name))
    };
    declared
        .iter()
        .filter(|name| is_copied(name))
        .cloned()
        .collect()
}

/// Puts values in the place of names, in all texts.
pub(super) fn replace(
    node: &mut Node,
    declared: &[String],
    host: &dyn Fn(&str) -> Result<String, VarError>,
) -> Result<(), Problem> {
    node.each_text(&mut |text, place| match replaced(text, declared, host) {
        Ok(replaced) => {
            *text = replaced;
            Ok(())
        }
        Err(problem) => Err(problem.at(place)),
    })
}

fn replaced(
    text: &str,
    declared: &[String],
    host: &dyn Fn(&str) -> Result<String, VarError>,
) -> Result<String, Problem> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            replaced.extend([before, "${"]);
            rest = &reference[2..];
            continue;
        }
        let Some((name, after)) = reference[2..].split_once('}') else {
            return Err(Problem::new(
                "`${` has no `}`; a `${` that is meant as it is, is written `$${`",
            ));
        };
        if !declared.iter().any(|declared| declared == name) {
            return Err(Problem::new(format_args!(
                "`${{{name}}}` is not among the `variables` of this file; add it there, or write `$${{` for what is \
                 meant as it is"
            )));
        }
        let value = host(name).map_err(|error| match error {
            VarError::NotPresent => {
                Problem::new(format_args!("the variable {name} is not set here"))
            }
            VarError::NotUnicode(_) => Problem::new(format_args!(
                "the value of the variable {name} is not UTF-8"
            )),
        })?;
        replaced.extend([before, &value]);
        rest = after;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// The text that means this one.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// The text that means the value of a variable.
pub(super) fn reference(name: &str) -> String {
    format!("${{{name}}}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str) -> Result<String, VarError> {
        match name {
            "HOME" => Ok("/home/${HOME}".into()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read(text: &str) -> Result<String, String> {
        let declared = ["HOME".to_owned(), "UNSET".to_owned()];
        replaced(text, &declared, &host).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_declared_variable_is_replaced_once() {
        assert_eq!(read("a${HOME}b").as_deref(), Ok("a/home/${HOME}b"));
        assert_eq!(
            read("$HOME $$ { $${HOME}").as_deref(),
            Ok("$HOME $$ { ${HOME}")
        );
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, words) in [
            ("${home}", "`${home}` is not among the `variables`"),
            ("${UNSET}", "the variable UNSET is not set here"),
            ("${HOME", "has no `}`"),
            ("${}", "`${}` is not among"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(words), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_meant_as_it_is(text in "([a${}]|\\$\\{|\\$\\$\\{){0,8}") {
            prop_assert_eq!(read(&escaped(&text)), Ok(text));
        }
    }
}
