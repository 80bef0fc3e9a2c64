//! What goes over the network.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

/// What a guest has had of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NetworkStats {
    /// TCP connections: those that it made, and those that it accepted.
    pub connections: u64,
    /// Bytes that it was given, without what TCP, UDP and IP put around them.
    pub bytes_in: u64,
    /// Bytes that it sent, likewise.
    pub bytes_out: u64,
}

/// Where is counted what goes over the network.
#[derive(Debug, Default)]
pub struct Traffic {
    is_counted: AtomicBool,
    connections: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    /// Hears that all is counted from now on.
    pub fn begin(&self) {
        self.is_counted.store(true, Ordering::Relaxed);
    }

    /// Hears that something was not counted. Then nothing is told.
    pub fn lose_count(&self) {
        self.is_counted.store(false, Ordering::Relaxed);
    }

    /// Counts a connection.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what the guest was given.
    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what it sent.
    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What there was so far, if it is counted.
    pub fn stats(&self) -> Option<NetworkStats> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let is_counted = self.is_counted.load(Ordering::Relaxed);
        is_counted.then(|| NetworkStats {
            connections: load(&self.connections),
            bytes_in: load(&self.bytes_in),
            bytes_out: load(&self.bytes_out),
        })
    }
}
