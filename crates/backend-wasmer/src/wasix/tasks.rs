//! What wasmer-wasix starts tasks with: a guest has one thread.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use wasmer_wasix::WasiThreadError;
use wasmer_wasix::runtime::VirtualTaskManager;
use wasmer_wasix::runtime::task_manager::TaskWasm;
use wasmer_wasix::runtime::task_manager::tokio::TokioTaskManager;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for the guest's own thread, and starts no other: those could outlive the run.
#[derive(Debug)]
pub(super) struct OneThread(TokioTaskManager);

impl OneThread {
    pub(super) fn new(reactor: &Handle) -> Self {
        OneThread(TokioTaskManager::new(reactor.clone()))
    }
}

impl VirtualTaskManager for OneThread {
    fn sleep_now(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        self.0.sleep_now(time)
    }

    fn task_shared(
        &self,
        task: Box<dyn FnOnce() -> Boxed<()> + Send>,
    ) -> Result<(), WasiThreadError> {
        self.0.task_shared(task)
    }

    fn task_wasm(&self, _: TaskWasm) -> Result<(), WasiThreadError> {
        Err(WasiThreadError::Unsupported)
    }

    fn task_dedicated(&self, task: Box<dyn FnOnce() + Send>) -> Result<(), WasiThreadError> {
        self.0.task_dedicated(task)
    }

    fn thread_parallelism(&self) -> Result<usize, WasiThreadError> {
        Ok(1)
    }
}
