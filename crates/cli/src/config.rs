//! `wasmrun config` and `wasmrun schema`: runs as files.

use wasmrun::RunFile;

use crate::args::ConfigArgs;
use crate::{resolve, say};

/// Prints a command line as a file; returns the exit code.
pub fn config(args: &ConfigArgs) -> u8 {
    let text = resolve::asked_on(&args.launch, &args.guest).and_then(|file| {
        // What could not be run is not printed.
        file.choice(&wasmrun::Engines::new())?;
        file.launch.program()?;
        resolve::not_for_programs(&file.config)?;
        match args.json {
            true => file.to_json(),
            false => file.to_toml(),
        }
    });
    match text {
        Ok(text) => say::print(text),
        Err(error) => say::error(&error, false),
    }
}

/// Prints the JSON Schema of such files; returns the exit code.
pub fn schema() -> u8 {
    say::print_json(&RunFile::schema())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::args::Cli;

    fn asked(words: &[String]) -> RunFile {
        let program = std::iter::once("wasmrun".to_owned());
        let args = Cli::try_parse_from(program.chain(words.iter().cloned()));
        let args = args
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
            .run;
        resolve::asked_on(&args.launch, &args.guest)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// What is asked by typing is asked by the file that is made of it.
    fn survives(words: &[String]) {
        let file = asked(words);
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in [("job.toml", file.to_toml()), ("job.json", file.to_json())] {
            let text = text.expect("it is written");
            let path = directory.path().join(name);
            std::fs::write(&path, &text).expect("a file");
            let words = ["--config".to_owned(), path.display().to_string()];
            assert_eq!(asked(&words), file, "{text}");
        }
    }

    /// An option and a value for it. Paths of the host are absolute, because files of runs are elsewhere.
    fn single() -> Vec<BoxedStrategy<String>> {
        fn texts(option: &'static str) -> BoxedStrategy<String> {
            let value = prop_oneof!["[^\0]{0,8}", "[${}A-Z\"\\\\]{0,8}"];
            value
                .prop_map(move |value| format!("--{option}={value}"))
                .boxed()
        }
        fn numbers(option: &'static str) -> BoxedStrategy<String> {
            let number = prop_oneof![any::<u64>(), 0..10_u64];
            number
                .prop_map(move |number| format!("--{option}={number}"))
                .boxed()
        }
        fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
            select(words).prop_map(str::to_owned).boxed()
        }
        let time = (
            0..1_000_000_u64,
            select(&["ns", "us", "ms", "s", "m", "h", "days"][..]),
        );
        vec![
            texts("cwd"),
            texts("argv0"),
            texts("invoke"),
            numbers("max-memory"),
            numbers("fuel"),
            numbers("max-stack"),
            numbers("max-table"),
            numbers("max-instances"),
            numbers("max-output"),
            numbers("max-guest-size"),
            time.prop_map(|(number, unit)| format!("--timeout={number}{unit}"))
                .boxed(),
            one_of(&["--network", "--net=tcp:a.example:443", "--listen=[::1]:80"]),
            one_of(&["--inherit-env"]),
            one_of(&["--replace-dirs", "--keep-dirs", "--layer-dirs"]),
            one_of(&["--command=python", "--use=/deps", "--use=lib=/lib.webc"]),
            one_of(&["--workspace=work"]),
            one_of(&["--pull=always", "--pull=missing", "--pull=never"]),
            one_of(&["--plain-http=h:1"]),
            one_of(&["--deterministic", "--deterministic=7"]),
            one_of(&["--stdin=inherit", "--stdin=null", "--stdin=/in put"]),
            one_of(&["--engine=auto", "--engine=wasmi", "--prefer=wasmi,wasmer"]),
            one_of(&[
                "--clock=2026-01-31T12:00:00Z",
                "--clock=2554-07-21T23:34:33.709551615Z",
            ]),
            Just(format!("--sha256={:064x}", 7)).boxed(),
        ]
    }

    fn repeated() -> impl Strategy<Value = String> {
        let paths = |form: &'static str| {
            "[a-z$ {}\u{e9}]{1,4}".prop_map(move |path| form.replace('@', &path))
        };
        prop_oneof![
            ("[A-Z]", "[^\0]{0,8}").prop_map(|(name, value)| format!("--env={name}={value}")),
            Just("--env=PATH".to_owned()),
            select(&["--dir=/h/@::/@", "--dir=/h::/@:ro", "--overlay=/@::/@"][..])
                .prop_flat_map(paths),
            select(
                &[
                    "--tmpfs=/@",
                    "--tmpfs=/@:64Mi",
                    "--volume=v:/@:ro",
                    "--volume=w:/@"
                ][..]
            )
            .prop_flat_map(paths),
            select(
                &[
                    "--mount=type=tmpfs,dst=/@,size=1k,entries=3",
                    "--mount=type=tmpfs,src=/@,dst=/@",
                    "--mount=type=tar,src=/@,dst=/@",
                    "--mount=src=/@,dst=/@,ro",
                    "--mount=type=overlay,lower=/@:/b,dst=/@",
                    "--mount=type=overlay,lower=/@,upper=/u,dst=/@",
                ][..]
            )
            .prop_flat_map(paths),
        ]
    }

    fn line() -> impl Strategy<Value = Vec<String>> {
        let singles = single()
            .into_iter()
            .map(|option| of(option).boxed())
            .collect::<Vec<_>>();
        let guest = select(&["/app.wasm", "-", "/dev/stdin"][..]);
        let args = vec(any::<String>(), 0..3);
        let repeated = vec((repeated(), any::<Index>()), 0..5);
        (singles, repeated, guest, args).prop_map(|(singles, repeated, guest, args)| {
            let mut words: Vec<String> = singles.into_iter().flatten().collect();
            for (option, place) in repeated {
                words.insert(place.index(words.len() + 1), option);
            }
            words.push("--".into());
            words.push(guest.into());
            words.extend(args);
            words
        })
    }

    proptest! {
        #[test]
        fn a_command_line_asks_the_same_as_its_file(words in line()) {
            survives(&words);
        }
    }
}
