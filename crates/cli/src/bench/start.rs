//! The ways in which a program is started as a process of its own.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use wasmrun::{Result, RunConfig, is_reference, own_command};

use super::spawner::{Order, this_program};
use crate::cache;
use crate::lineup::Contestant;
use crate::mounts;

/// Whose process it is, and what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// `wasmrun`, which has to compile the guest.
    Cold,
    /// `wasmrun`, which finds what an earlier start kept.
    Warm,
    /// The runtime's own command, as it is.
    Own,
}

/// As it is put behind an engine's name.
impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Start::Cold => ", cold",
            Start::Warm => ", warm",
            Start::Own => " by itself",
        })
    }
}

/// What all starts of a program share.
pub struct Starts<'a> {
    /// The options for the guest, but for directories and standard input.
    pub options: &'a [OsString],
    /// As a process is told of it: a file, or a reference to what is in the store.
    pub guest: &'a Path,
    /// The guest as a file, surely not as text.
    pub binary: &'a Path,
    /// The file with its standard input.
    pub stdin: Option<OsString>,
    /// A place of our own for compiled code.
    pub cache: &'a Path,
    /// What was asked.
    pub asked: &'a RunConfig,
    /// The same, over what the guest's image says.
    pub config: &'a RunConfig,
}

impl Starts<'_> {
    /// The ways there are to start the guest on this engine.
    pub fn of(&self, contestant: &Contestant) -> Vec<Start> {
        let mut starts = vec![Start::Cold, Start::Warm];
        starts.extend(self.own(contestant).map(|_| Start::Own));
        starts
    }

    /// The process that does it. `config` has the directories.
    pub fn order(
        &self,
        start: Start,
        contestant: &Contestant,
        config: &RunConfig,
    ) -> Result<Order> {
        if let (Start::Own, Some(order)) = (start, self.own(contestant)) {
            return Ok(order);
        }
        let mut args: Vec<OsString> = vec!["--engine".into(), contestant.asked.clone().into()];
        args.extend_from_slice(self.options);
        // The image's come first, and come with the reference.
        let of_image = self.config.mounts.len() - self.asked.mounts.len();
        args.extend(config.mounts.iter().skip(of_image).map(mounts::option));
        // Whatever a file of the run says.
        args.push("--stdin=inherit".into());
        if is_reference(self.guest) {
            // It is in the store, and the network is not what is measured.
            args.push("--pull=never".into());
        }
        if start != Start::Warm {
            args.push("--no-cache".into());
        }
        args.push("--".into());
        args.push(self.guest.into());
        args.extend(self.asked.args.iter().map(OsString::from));
        Ok(Order {
            program: this_program()?,
            args,
            // Cold or warm: a guest may see it.
            env: vec![(cache::DIR.into(), self.cache.into())],
            stdin: self.stdin.clone(),
        })
    }

    /// The runtime's own command, if that does all that is asked.
    fn own(&self, contestant: &Contestant) -> Option<Order> {
        let config = self.config;
        let plain = RunConfig::new()
            .args(config.args.iter())
            .stdin(config.stdin.clone());
        if *config != plain {
            return None;
        }
        let command = own_command(contestant.info(), self.binary, &config.args)?;
        Some(Order {
            program: command.get_program().to_owned(),
            args: command.get_args().map(ToOwned::to_owned).collect(),
            env: Vec::new(),
            stdin: self.stdin.clone(),
        })
    }
}

/// A process that does nothing, where there is one.
pub fn nothing() -> Option<Order> {
    cfg!(unix).then(|| Order {
        program: "true".into(),
        args: Vec::new(),
        env: Vec::new(),
        stdin: None,
    })
}
