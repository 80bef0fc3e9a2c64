//! Ending a guest that computes: epochs, wasmtime's way to look up from a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmrun_core::{Control, Hook, Usage};
use wasmtime::{AsContext, Engine, Store, UpdateDeadline};

/// How long a guest is given to notice.
const AGAIN: Duration = Duration::from_millis(2);

/// Ends a guest's computing when it is interrupted, as long as this is kept.
pub(crate) struct Interruption {
    _hooks: (Hook, Option<Hook>),
    ended: Arc<AtomicBool>,
}

/// Makes the guest of `store` end in a loop or call once `control` is interrupted. With `fuel`, it tells what it has
/// used of that whenever somebody looks.
pub(crate) fn end_on_interrupt<T>(
    store: &mut Store<T>,
    control: &Control,
    fuel: Option<(u64, Usage)>,
) -> Interruption {
    let line = control.clone();
    let on_look = fuel.is_some().then(|| {
        let engine = store.engine().clone();
        control.on_look(move || engine.increment_epoch())
    });
    store.epoch_deadline_callback(move |guest| {
        if let Some((had, usage)) = &fuel
            && let Ok(left) = guest.as_context().get_fuel()
        {
            usage.tell_fuel(had.saturating_sub(left));
        }
        Ok(match line.interrupted() {
            Some(_) => UpdateDeadline::Interrupt,
            // The epoch is that of all guests on the engine: this was about another one.
            None => UpdateDeadline::Continue(1),
        })
    });
    store.set_epoch_deadline(1);
    let ended = Arc::new(AtomicBool::new(false));
    let hook = control.on_interrupt({
        let (engine, ended) = (store.engine().clone(), ended.clone());
        move || {
            engine.increment_epoch();
            repeat_until(&ended, &engine);
        }
    });
    Interruption {
        _hooks: (hook, on_look),
        ended,
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// A guest whose epoch ended because of another one looks at its control and *then* gets a new
/// deadline. It misses an epoch that ends in between, and needs another.
fn repeat_until(ended: &Arc<AtomicBool>, engine: &Engine) {
    let (ended, engine) = (ended.clone(), engine.clone());
    let repeat = move || {
        loop {
            thread::sleep(AGAIN);
            if ended.load(Ordering::Acquire) {
                break;
            }
            engine.increment_epoch();
        }
    };
    // Where no thread can be had, once was enough in all but that moment.
    let _ = thread::Builder::new()
        .name("wasmrun-epoch".into())
        .spawn(repeat);
}
