//! `wasmrun workspace`, and the workspace of a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmrun::{
    LockedWorkspace, MountSource, Result, Workspace, WorkspaceInfo, WorkspaceSettings, Workspaces,
};

use crate::args::{NewWorkspaceArgs, WorkspaceArgs, WorkspaceCommand};
use crate::written::written;
use crate::{mounts, say};

/// Shows or changes workspaces; returns the exit code.
pub fn workspace(args: &WorkspaceArgs) -> u8 {
    match run(&args.command) {
        Ok(code) => code,
        Err(error) => say::error(&error, false),
    }
}

/// The workspace of a run, kept for it.
pub fn locked(name: &str) -> Result<LockedWorkspace> {
    open(name)?.lock()
}

fn open(name: &str) -> Result<Workspace> {
    Workspaces::of_user()?.open(name)
}

fn run(command: &WorkspaceCommand) -> Result<u8> {
    match command {
        WorkspaceCommand::New(args) => {
            Workspaces::of_user()?.create(&args.name, settings(args))?;
        }
        WorkspaceCommand::Ls { json } => {
            let all = Workspaces::of_user()?.list()?;
            return Ok(match json {
                true => say::print_json(&all),
                false => say::print(table(&all)),
            });
        }
        WorkspaceCommand::Changes { name } => {
            return Ok(say::print_json(&open(name)?.changes()?));
        }
        WorkspaceCommand::Diff { name } => return Ok(say::print(open(name)?.diff()?)),
        WorkspaceCommand::Commit { name } => open(name)?.commit()?,
        WorkspaceCommand::Reset { name } => open(name)?.reset()?,
        WorkspaceCommand::Fork { name, fork } => drop(open(name)?.fork(fork)?),
        WorkspaceCommand::Export {
            name,
            file,
            changes,
        } => {
            let workspace = open(name)?;
            return written(file, |to| match changes {
                true => workspace.export_changes(to),
                false => workspace.export(to),
            });
        }
        WorkspaceCommand::Import { name, from, to } => open(name)?.import(from, to)?,
        WorkspaceCommand::Rm { names } => {
            for name in names {
                open(name)?.remove()?;
            }
        }
    }
    Ok(0)
}

fn settings(args: &NewWorkspaceArgs) -> WorkspaceSettings {
    let settings = WorkspaceSettings::new()
        .path(&args.path)
        .engines(args.engines.clone())
        .limit(|limits| args.limits.set(limits));
    match &args.from {
        Some(from) => settings.base(mounts::read_only(from)),
        None => settings,
    }
}

/// A line for each workspace.
fn table(all: &[WorkspaceInfo]) -> String {
    let width = all.iter().map(|info| info.name.len()).max().unwrap_or(0);
    let line = |info: &WorkspaceInfo| {
        let from = match (&info.parent, &info.settings.base) {
            (Some(parent), _) => format!("a fork of {parent}"),
            (None, Some(MountSource::Bind(host) | MountSource::Tar(host))) => {
                host.display().to_string()
            }
            (None, Some(other)) => other.to_string(),
            (None, None) => "began empty".to_owned(),
        };
        let used = UNIX_EPOCH + Duration::from_millis(info.used_ms);
        let age = SystemTime::now().duration_since(used).unwrap_or_default();
        format!("{:width$}  {from}  used {}\n", info.name, say::ago(age))
    };
    all.iter().map(line).collect()
}
