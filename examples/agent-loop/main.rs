//! An agent's loop: fork the project, let something run, look at what it changed, and keep or undo it:
//! `cargo run -p wasmrun --example agent-loop`.
//!
//! The project is a directory of the host, in which nothing changes until the end. Each attempt is made in a fork of a
//! workspace. What only adds to the project is taken over; what removes something never was.

use std::fs;

use wasmrun::{Engines, Guest, MountSource, Outcome, RunConfig, WorkspaceSettings, Workspaces};

/// What stands for the agent's ideas: an editor is run with each.
const IDEAS: [&str; 3] = ["measure first", "!", "then cut"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (home, project) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::write(project.path().join("notes.txt"), "begin\n")?;

    let editor = Guest::from_bytes("editor", include_str!("editor.wat"))?;
    let workspaces = Workspaces::at(home.path());
    let settings = WorkspaceSettings::new()
        .base(MountSource::Bind(project.path().into()))
        .limit(|limits| limits.memory = Some(1 << 20));
    let work = workspaces.create("work", settings)?;

    for idea in IDEAS {
        let attempt = work.fork("attempt")?;
        let report = attempt.run(Engines::shared(), &editor, &RunConfig::new().arg(idea))?;
        let diff = attempt.diff()?;
        let removes = diff
            .lines()
            .any(|line| line.starts_with('-') && !line.starts_with("---"));
        if report.outcome == Outcome::Exited(0) && !removes {
            println!("kept:\n{diff}");
            attempt.commit()?;
        } else {
            println!("undone:\n{diff}");
        }
        attempt.remove()?;
    }

    assert_eq!(
        fs::read_to_string(project.path().join("notes.txt"))?,
        "begin\n"
    );
    work.commit()?;
    let notes = fs::read_to_string(project.path().join("notes.txt"))?;
    print!("the project has:\n{notes}");
    assert_eq!(notes, "begin\nmeasure first\nthen cut\n");
    Ok(())
}
