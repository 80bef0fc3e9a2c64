//! A host whose plug-ins change a line of text: `cargo run -p wasmrun --example plugin-host`.
//!
//! Each plug-in is an instance that stays, on whichever engine is there. It can call one function of the host, has a
//! mebibyte of memory, and a tenth of a second for each line. One of them misbehaves: it is begun anew, and the
//! others never notice.

use std::time::Duration;

use wasmrun::{
    Attachments, Called, Choice, Engines, Guest, GuestStr, HostCall, HostFunctions, Instance,
    MemoryError, Request, RunConfig, TypedFunction,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The most bytes of a line.
const ROOM: usize = 4096;

/// A plug-in that was loaded.
struct Plugin {
    name: &'static str,
    instance: Instance,
    /// Where it wants the line to be.
    buffer: u32,
    /// Changes so many bytes there, and returns how many they are then.
    apply: TypedFunction<u32, u32>,
}

impl Plugin {
    fn load(name: &'static str, text: &str) -> wasmrun::Result<Self> {
        let host = HostFunctions::new().function("host", "log", log);
        let config = RunConfig::new().limit(|limits| {
            limits.memory = Some(1 << 20);
            limits.timeout = Some(Duration::from_millis(100));
        });
        let guest = Guest::from_bytes(name, text)?;
        let request = Request::new(&config, &host).live();
        let program = Engines::shared().compile(&guest, request, &Choice::Auto)?;
        let mut instance = program.instantiate_with(&config, Attachments::new().state(name))?;
        let buffer = instance.typed::<(), u32>("buffer")?;
        let Called::Returned(buffer) = buffer.call(&mut instance, ())? else {
            unreachable!("it returns a constant");
        };
        Ok(Plugin {
            apply: instance.typed("apply")?,
            name,
            instance,
            buffer,
        })
    }

    /// The line as the plug-in has it. One that fails leaves the line as it was.
    fn apply(&mut self, line: String) -> Result<String, Failure> {
        let length = line.len().min(ROOM);
        let mut memory = self.instance.memory("memory")?;
        memory.write(self.buffer, &line.as_bytes()[..length])?;
        match self.apply.call(&mut self.instance, length as u32)? {
            Called::Returned(length) => {
                let mut memory = self.instance.memory("memory")?;
                let bytes = memory.read_vec(self.buffer, length)?;
                Ok(String::from_utf8(bytes)?)
            }
            Called::Ended(outcome) => {
                println!("  ({} {outcome}; it is begun anew)", self.name);
                let state = Attachments::new().state(self.name);
                self.instance.reset_with(state)?;
                Ok(line)
            }
        }
    }
}

/// What plug-ins may call.
fn log(call: &mut HostCall<'_>, message: GuestStr) -> Result<(), Failure> {
    let message: Result<String, MemoryError> = message.read(call);
    let plugin: &mut &str = call.state()?;
    println!("  [{plugin}] {}", message?);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut plugins = [
        Plugin::load("shout", include_str!("shout.wat"))?,
        Plugin::load("greedy", include_str!("greedy.wat"))?,
        Plugin::load("reverse", include_str!("reverse.wat"))?,
    ];
    for (line, expected) in [
        ("hello", "OLLEH"),
        ("!wait for me", "EM ROF TIAW!"),
        ("plug-ins", "SNI-GULP"),
    ] {
        println!("{line}");
        let mut changed = line.to_owned();
        for plugin in &mut plugins {
            changed = plugin.apply(changed)?;
        }
        println!("  = {changed}");
        assert_eq!(changed, expected);
    }
    Ok(())
}
