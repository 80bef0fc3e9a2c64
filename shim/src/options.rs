//! What containerd's configuration says of this runtime.

use containerd_shim::api::Options as Runc;
use containerd_shim::protos::protobuf::Message as _;
use containerd_shim::protos::protobuf::well_known_types::any::Any;
use prost::Message as _;
use serde::Deserialize;

/// What may be said in `options` of the runtime.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether systemd makes the cgroups.
    #[serde(rename = "SystemdCgroup", alias = "systemd_cgroup")]
    pub systemd_cgroup: bool,
}

/// containerd's options for runtimes that it does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct Generic {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(string, tag = "2")]
    config_path: String,
    #[prost(bytes = "vec", tag = "3")]
    config_body: Vec<u8>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// A line, for options of another runtime and for unknown ones.
    pub fn of(options: Option<&Any>) -> Result<Options, String> {
        let Some(options) = options else {
            return Ok(Options::default());
        };
        let wrong = |error: &dyn std::fmt::Display| format!("the runtime's options: {error}");
        match options.type_url.rsplit('/').next().unwrap_or_default() {
            "" => Ok(Options::default()),
            "runtimeoptions.v1.Options" => {
                let generic = Generic::decode(&options.value[..]).map_err(|error| wrong(&error))?;
                let text = match (&generic.config_body[..], &generic.config_path[..]) {
                    ([], "") => return Ok(Options::default()),
                    ([], path) => std::fs::read_to_string(path)
                        .map_err(|error| wrong(&format!("{path}: {error}")))?,
                    (body, _) => String::from_utf8_lossy(body).into_owned(),
                };
                toml::from_str(&text).map_err(|error| wrong(&error.message()))
            }
            // What clients give that take every runtime for runc.
            "containerd.runc.v1.Options" => {
                let runc = Runc::parse_from_bytes(&options.value).map_err(|error| wrong(&error))?;
                Ok(Options {
                    systemd_cgroup: runc.systemd_cgroup,
                })
            }
            other => Err(wrong(&format!("they are {other}, which is not known"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(body: &str) -> Any {
        let generic = Generic {
            config_body: body.into(),
            ..Generic::default()
        };
        Any {
            type_url: "runtimeoptions.v1.Options".into(),
            value: generic.encode_to_vec(),
            ..Any::default()
        }
    }

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let is_systemd =
            |options: Option<&Any>| Options::of(options).map(|options| options.systemd_cgroup);
        assert_eq!(is_systemd(None), Ok(false));
        assert_eq!(is_systemd(Some(&generic(""))), Ok(false));
        assert_eq!(is_systemd(Some(&generic("SystemdCgroup = true"))), Ok(true));
        let error = is_systemd(Some(&generic("SystemCgroup = true"))).expect_err("a slip");
        assert!(error.contains("SystemCgroup"), "{error}");
        let other = Any {
            type_url: "x.Options".into(),
            ..Any::default()
        };
        assert!(is_systemd(Some(&other)).is_err());
    }
}
