//! What containerd starts: one process a pod.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use containerd_shim::publisher::RemotePublisher;
use containerd_shim::util::write_address;
use containerd_shim::{
    Config, DeleteResponse, Error, ExitSignal, Flags, StartOpts, socket_address,
};
use libcontainer::oci_spec::runtime::Spec;

use crate::children::Children;
use crate::events::Events;
use crate::steps::{self, There};
use crate::task::{Service, timestamp};

/// The annotation by which CRI says which pod a container is of.
const POD: &str = "io.kubernetes.cri.sandbox-id";

/// The shim of a pod, or of a container without one.
pub struct Shim {
    id: String,
    bundle: PathBuf,
    namespace: String,
    containerd: PathBuf,
    socket: String,
    exit: Arc<ExitSignal>,
}

impl containerd_shim::Shim for Shim {
    type T = Service;

    fn new(_: &str, args: &Flags, _: &mut Config) -> Self {
        Shim {
            id: args.id.clone(),
            bundle: args.bundle.clone().into(),
            namespace: args.namespace.clone(),
            containerd: args.address.clone().into(),
            socket: args.socket.clone(),
            exit: Arc::default(),
        }
    }

    /// Containers of one pod have one shim.
    fn start_shim(&mut self, opts: StartOpts) -> Result<String, Error> {
        let spec = Spec::load("config.json")
            .map_err(|error| Error::InvalidArgument(format!("config.json: {error}")))?;
        let pod = spec.annotations().as_ref().and_then(|all| all.get(POD));
        let grouping = pod.cloned().unwrap_or_else(|| opts.id.clone());
        // First of all, since a shim that was started would stay if this failed.
        write_address(&socket_address(&opts.address, &opts.namespace, &grouping))?;
        // glibc gives threads heaps of their own otherwise, which nearly idle threads do not need.
        let one_heap = vec![("MALLOC_ARENA_MAX", "1")];
        let (_, address) = containerd_shim::spawn(opts, &grouping, one_heap)?;
        Ok(address)
    }

    /// What containerd asks for when the shim is gone: nothing of the container is to be left.
    fn delete_shim(&mut self) -> Result<DeleteResponse, Error> {
        let there = There {
            bundle: self
                .bundle()
                .map_err(|error| Error::Other(error.to_string()))?,
            id: self.id.clone(),
        };
        steps::delete(&there).map_err(Error::Other)?;
        Ok(DeleteResponse {
            exit_status: 137,
            exited_at: Some(timestamp(SystemTime::now())).into(),
            ..DeleteResponse::default()
        })
    }

    fn wait(&mut self) {
        self.exit.wait();
    }

    fn create_task_service(&self, publisher: RemotePublisher) -> Service {
        let children = Children::new().unwrap_or_else(|error| {
            // Nothing would ever be seen to end.
            log::error!("no thread to wait for containers: {error}");
            std::process::exit(1)
        });
        let events = Events::new(publisher, self.namespace.clone());
        let containerd: &Path = &self.containerd;
        let service = Service::new(
            children,
            events,
            self.namespace.clone(),
            containerd.to_owned(),
            Arc::clone(&self.exit),
        );
        let socket = self.socket.trim_start_matches("unix://").into();
        let watched = self
            .bundle()
            .and_then(|bundle| service.end_if_forgotten(bundle, socket));
        if let Err(error) = watched {
            log::warn!("this shim will stay if containerd forgets it: {error}");
        }
        service
    }
}

impl Shim {
    /// The directory in which it was started, if it was not told of one.
    fn bundle(&self) -> std::io::Result<PathBuf> {
        match self.bundle.as_os_str().is_empty() {
            true => std::env::current_dir(),
            false => Ok(self.bundle.clone()),
        }
    }
}
