//! What a component that is a command is run by.

use std::future::poll_fn;
use std::time::Instant;

use wasmrun_core::guest::WasiVersion;
use wasmtime::component::InstancePre;
use wasmtime::{Result, Store};
use wasmtime_wasi::{p2, p3};

use crate::component::World;
use crate::store::Host;

/// A component that exports `wasi:cli/run`.
pub(crate) enum Command {
    /// That of WASI 0.2.
    P2(p2::bindings::CommandPre<Host<World>>),
    /// That of WASI 0.3.
    P3(p3::bindings::CommandPre<Host<World>>),
}

impl Command {
    /// Of a component that exports both, what it exports of the later version is run.
    pub(crate) fn of(instance: &InstancePre<Host<World>>, wasi: WasiVersion) -> Result<Self> {
        if wasi == WasiVersion::Preview3
            && let Ok(command) = p3::bindings::CommandPre::new(instance.clone())
        {
            return Ok(Command::P3(command));
        }
        p2::bindings::CommandPre::new(instance.clone()).map(Command::P2)
    }

    /// Makes the component, notes when that was done, and runs it.
    pub(crate) async fn run(
        &self,
        store: &mut Store<Host<World>>,
        made: &mut Option<Instant>,
    ) -> Result<Result<(), ()>> {
        let command = match self {
            Command::P2(command) => {
                let command = command.instantiate_async(&mut *store).await?;
                *made = Some(Instant::now());
                return command.wasi_cli_run().call_run(store).await;
            }
            Command::P3(command) => command.instantiate_async(&mut *store).await?,
        };
        *made = Some(Instant::now());
        let run = command.wasi_cli_run().func_run();
        let passing = store.data().world.system.passing();
        let all = async {
            // One that waits for what never comes is told so.
            let (ended,) = run.call_async(&mut *store, ()).await?;
            // What it began may go on when it has returned.
            let rest = store.run_concurrent(async |store| {
                poll_fn(|cx| store.poll_no_interesting_tasks(cx)).await;
            });
            rest.await?;
            Ok(ended)
        };
        passing.during(all).await
    }
}
