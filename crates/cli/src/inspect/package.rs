//! What is in a webc package.

use std::path::Path;

use wasmrun::Result;
use wasmrun::guest::shown;
use wasmrun::webc::{Package, PackageInspection, PackedCommand, PackedMapping};

use crate::args::InspectArgs;
use crate::say;
use crate::wrap::labelled;

use super::size;

/// Shows what is in a package; returns the exit code.
pub fn inspect(package: &Path, args: &InspectArgs) -> Result<u8> {
    let found = Package::open(package)?.inspect(args.program.max_guest_size)?;
    Ok(match args.json {
        true => say::print_json(&found),
        false => say::print(describe(&found)),
    })
}

fn describe(package: &PackageInspection) -> String {
    let mut text = format!("{}: {}", shown(&package.name), package.kind);
    if let Some(name) = &package.package {
        text += &format!(", {}", shown(name));
        if let Some(version) = &package.version {
            text += &format!("@{}", shown(version));
        }
    }
    text.push('\n');
    let mut label = |label: &str, words: &[String]| {
        if !words.is_empty() {
            text += &labelled(label, words);
        }
    };
    for told in &package.commands {
        label("command", &command(told, package.entrypoint.as_deref()));
    }
    for atom in &package.atoms {
        let what = format!("{}, {}, {}", atom.kind, atom.wasi, size(atom.bytes));
        label("atom", &[format!("{}: {what}", shown(&atom.name))]);
    }
    for volume in &package.volumes {
        let mut what = vec![
            format!("{}: {}", shown(&volume.name), size(volume.bytes)),
            format!("files: {}", volume.files),
            format!("directories: {}", volume.directories),
        ];
        if volume.links > 0 {
            what.push(format!("links: {}", volume.links));
        }
        label("volume", &what);
    }
    for told in &package.mappings {
        label("shows", &[mapping(told)]);
    }
    for used in &package.dependencies {
        let used = format!("{} as {}", shown(&used.package), shown(&used.alias));
        label("uses", &[used]);
    }
    text
}

fn command(command: &PackedCommand, entrypoint: Option<&str>) -> Vec<String> {
    let name = shown(&command.name);
    let atom = match (&command.atom, &command.dependency) {
        (None, _) => format!("{name}: no atom"),
        (Some(atom), None) => format!("{name}: atom {}", shown(atom)),
        (Some(atom), Some(of)) => format!("{name}: atom {} of {}", shown(atom), shown(of)),
    };
    let mut told = vec![atom];
    if entrypoint == Some(&command.name) {
        told.push("the entrypoint".into());
    }
    told.push(format!("runner {}", shown(&command.runner)));
    told.push(format!("argv[0] {}", shown(&command.argv0)));
    told.extend(
        command
            .args
            .iter()
            .map(|arg| format!("argument {}", shown(arg))),
    );
    told.extend(command.env.iter().map(|env| format!("env {}", shown(env))));
    if let Some(directory) = &command.working_directory {
        told.push(format!("begins in {}", shown(directory)));
    }
    told
}

fn mapping(mapping: &PackedMapping) -> String {
    let mut told = format!(
        "{}: volume {}",
        shown(&mapping.path),
        shown(&mapping.volume)
    );
    if let Some(dependency) = &mapping.dependency {
        told += &format!(" of {}", shown(dependency));
    }
    if let Some(directory) = &mapping.directory {
        told += &format!(", directory {}", shown(directory));
    }
    told
}
