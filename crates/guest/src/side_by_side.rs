//! Work on function bodies, which tell nothing about each other, on all processors.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// The least code, in bytes, that is worth starting a thread for.
const WORTH_A_THREAD: usize = 1 << 20;

/// Has the items, which are about so many `bytes` of code, taken by as many threads as that is worth. Gives
/// what `work` makes of the items that it was given, of each thread. They are handed out in their order.
pub fn side_by_side<'a, T: Sync, R: Send>(
    items: &'a [T],
    bytes: usize,
    work: impl Fn(&mut dyn Iterator<Item = &'a T>) -> R + Sync,
) -> Vec<R> {
    let threads = match bytes / WORTH_A_THREAD {
        0 | 1 => 1,
        worth => {
            thread::available_parallelism().map_or(1, |processors| worth.min(processors.get()))
        }
    };
    let next = AtomicUsize::new(0);
    let work = || {
        work(&mut std::iter::from_fn(|| {
            items.get(next.fetch_add(1, Relaxed))
        }))
    };
    thread::scope(|scope| {
        // Where no thread is to be had, this one does more.
        let others: Vec<_> = (1..threads)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut results = vec![work()];
        for other in others {
            results.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    })
}
