//! What containerd is told without asking.

use std::sync::mpsc::{self, Sender};
use std::thread;

use containerd_shim::event::Event;
use containerd_shim::protos::protobuf::MessageDyn;
use containerd_shim::publisher::RemotePublisher;
use log::warn;

/// Tells containerd of what happens, in the order in which it did. Nobody waits for that: containerd may be away.
#[derive(Clone)]
pub struct Events(Sender<(String, Box<dyn MessageDyn>)>);

impl Events {
    /// Events of that namespace.
    pub fn new(publisher: RemotePublisher, namespace: String) -> Self {
        let (sender, receiver) = mpsc::channel::<(String, Box<dyn MessageDyn>)>();
        let publish = move || {
            for (topic, event) in receiver {
                let context = containerd_shim::Context::default();
                if let Err(error) = publisher.publish(context, &topic, &namespace, event) {
                    warn!("containerd was not told {topic}: {error}");
                }
            }
        };
        let started = thread::Builder::new()
            .name("events".into())
            .stack_size(128 << 10)
            .spawn(publish);
        if let Err(error) = started {
            warn!("containerd is not told of events: {error}");
        }
        Events(sender)
    }

    /// Tells one, later.
    pub fn tell(&self, event: impl Event) {
        // Fails if the thread was not started, which was told.
        let _ = self.0.send((event.topic(), Box::new(event)));
    }
}
