//! What this runtime can do, for clients of containerd that ask before they ask for it.

use std::io::Write;

use containerd_shim::protos::protobuf::Message;
use containerd_shim::protos::protobuf::well_known_types::any::Any;
use containerd_shim::protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use libcontainer::syscall::linux::MountOption;
use serde_json::json;

use crate::NAME;

/// By what containerd knows the [features of OCI's specification](https://github.com/opencontainers/runtime-spec/blob/main/features.md).
const KIND: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// Those of libcontainer's options for mounts that are about all mounts below as well, which it has no list of.
const RECURSIVE: [&str; 10] = [
    "rro",
    "rrw",
    "rnosuid",
    "rsuid",
    "rnodev",
    "rdev",
    "rnoexec",
    "rexec",
    "rnoatime",
    "rrelatime",
];

/// Tells of it on standard output.
pub fn tell() {
    let info = RuntimeInfo {
        name: NAME.into(),
        version: Some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").into(),
            ..RuntimeVersion::default()
        })
        .into(),
        features: Some(Any {
            type_url: KIND.into(),
            value: features().to_string().into(),
            ..Any::default()
        })
        .into(),
        ..RuntimeInfo::default()
    };
    let told = info.write_to_bytes().map_err(std::io::Error::other);
    if let Err(error) = told.and_then(|bytes| std::io::stdout().write_all(&bytes)) {
        eprintln!("{NAME}: cannot tell of itself: {error}");
        std::process::exit(1);
    }
}

fn features() -> serde_json::Value {
    let mut options = MountOption::known_options();
    options.extend(RECURSIVE.map(str::to_owned));
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.1",
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        ],
        "mountOptions": options,
        "linux": {
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": false },
            "seccomp": { "enabled": true },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "mountExtensions": { "idmap": { "enabled": false } },
        },
    })
}
