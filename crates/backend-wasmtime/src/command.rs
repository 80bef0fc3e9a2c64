//! What a component that is a command is run by.

use std::time::Instant;

use wasmrun_core::guest::WasiVersion;
use wasmtime::component::InstancePre;
use wasmtime::{Error, Result, Store};
use wasmtime_wasi::{p2, p3};

use crate::component::World;
use crate::store::Host;

/// A component that exports `wasi:cli/run`.
pub(crate) struct Command {
    p2: Option<p2::bindings::CommandPre<Host<World>>>,
    p3: Option<p3::bindings::CommandPre<Host<World>>>,
}

impl Command {
    /// # Errors
    ///
    /// That what it exports is of another type.
    pub(crate) fn of(instance: &InstancePre<Host<World>>, wasi: WasiVersion) -> Result<Self> {
        let p2 = p2::bindings::CommandPre::new(instance.clone());
        if wasi != WasiVersion::Preview3 {
            return Ok(Command {
                p2: Some(p2?),
                p3: None,
            });
        }
        match (p2, p3::bindings::CommandPre::new(instance.clone())) {
            (Err(_), Err(error)) => Err(error),
            (p2, p3) => Ok(Command {
                p2: p2.ok(),
                p3: p3.ok(),
            }),
        }
    }

    /// Makes the component, notes when that was done, and runs it by this entry. Where it has two, the later is the default.
    pub(crate) async fn run(
        &self,
        entry: &str,
        store: &mut Store<Host<World>>,
        made: &mut Option<Instant>,
    ) -> Result<Result<(), ()>> {
        let is_earlier = entry.contains("@0.2.") && self.p2.is_some();
        let command = match (&self.p3, &self.p2) {
            (Some(command), _) if !is_earlier => command.instantiate_async(&mut *store).await?,
            (_, Some(command)) => {
                let command = command.instantiate_async(&mut *store).await?;
                *made = Some(Instant::now());
                return command.wasi_cli_run().call_run(store).await;
            }
            _ => return Err(Error::msg("exports no wasi:cli/run")),
        };
        *made = Some(Instant::now());
        let run = command.wasi_cli_run().func_run();
        let passing = store.data().world.system.passing();
        // One that waits for what never comes is told so. What it began is over when it returns.
        let (ended,) = passing.during(run.call_async(store, ())).await?;
        Ok(ended)
    }
}
