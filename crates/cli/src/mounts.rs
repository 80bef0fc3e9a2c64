//! Mounts as they are typed, in the words of Docker: `--mount type=tmpfs,dst=/tmp,size=64Mi`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wasmrun::{Access, MemoryMount, Mount, MountSource, OverlayMount};

use crate::values;

/// The keys of `--mount`, each with the other words it has.
const KEYS: &[(&str, &[&str])] = &[
    ("type", &[]),
    ("src", &["source"]),
    ("dst", &["destination", "target"]),
    ("ro", &["readonly"]),
    ("rw", &[]),
    ("lower", &["lowerdir"]),
    ("upper", &["upperdir"]),
    ("size", &["tmpfs-size"]),
    ("entries", &[]),
];

/// `--mount type=…,KEY=VALUE…`, in which quotes may go around a field with a comma.
pub fn mount(text: &str) -> Result<Mount, String> {
    let mut fields = Fields::of(text)?;
    let kind = fields.take("type").unwrap_or_else(|| "bind".into());
    let path = fields.required("dst")?;
    let access = match (fields.flag("ro")?, fields.flag("rw")?) {
        (true, true) => return Err("it is either ro or rw".into()),
        (false, true) if kind == "tar" => return Err("a tar is ro".into()),
        (true, false) => Access::ReadOnly,
        (false, false) if kind == "tar" => Access::ReadOnly,
        (false, _) => Access::ReadWrite,
    };
    let source = match kind.as_str() {
        "bind" => bind(PathBuf::from(fields.required("src")?)),
        "volume" => MountSource::Volume(fields.required("src")?),
        "tar" => MountSource::Tar(PathBuf::from(fields.required("src")?)),
        "tmpfs" => MountSource::Memory(MemoryMount {
            from: fields.take("src").map(|from| Box::new(read_only(&from))),
            ..memory(&mut fields)?
        }),
        "overlay" => MountSource::Overlay(OverlayMount {
            lower: fields
                .required("lower")?
                .split(':')
                .map(read_only)
                .collect(),
            upper: Box::new(match fields.take("upper") {
                Some(upper) => MountSource::Bind(upper.into()),
                None => MountSource::Memory(memory(&mut fields)?),
            }),
        }),
        other => {
            return Err(format!(
                "there is no type={other}; the types are bind, volume, tmpfs, tar and overlay"
            ));
        }
    };
    fields.none_left(&kind)?;
    Ok(Mount {
        path,
        source,
        access,
    })
}

fn memory(fields: &mut Fields) -> Result<MemoryMount, String> {
    let number = |number: String| {
        let parsed = number.parse();
        parsed.map_err(|_| format!("entries={number} is no number"))
    };
    Ok(MemoryMount {
        bytes: fields
            .take("size")
            .map(|size| values::size(&size))
            .transpose()?,
        entries: fields.take("entries").map(number).transpose()?,
        from: None,
    })
}

/// A directory that is only read, or an archive.
pub fn read_only(path: impl AsRef<Path>) -> MountSource {
    let path = path.as_ref().to_owned();
    match path.is_file() {
        true => MountSource::Tar(path),
        false => MountSource::Bind(path),
    }
}

/// `--overlay HOST::PATH`.
pub fn overlay(text: &str) -> Result<Mount, String> {
    match text.rsplit_once("::") {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            Ok(Mount::overlay(host, path, MemoryMount::DEFAULT_BYTES))
        }
        _ => Err("the form is HOST::PATH, as in .::/work".into()),
    }
}

/// A directory of the host, or a file.
fn bind(host: PathBuf) -> MountSource {
    match host.is_file() {
        true => MountSource::File(host),
        false => MountSource::Bind(host),
    }
}

/// `--volume NAME:PATH[:ro|:rw]`.
pub fn volume(text: &str) -> Result<Mount, String> {
    let (rest, access) = values::access(text);
    match rest.split_once(':') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(Mount::volume(name, path, access))
        }
        _ => Err("the form is NAME:PATH[:ro|:rw], as in cache:/var/cache".into()),
    }
}

/// `--tmpfs PATH[:SIZE]`.
pub fn tmpfs(text: &str) -> Result<Mount, String> {
    let (path, size) = match text.rsplit_once(':') {
        Some((path, size)) => (path, Some(values::size(size)?)),
        None => (text, None),
    };
    if path.is_empty() {
        return Err("the form is PATH[:SIZE], as in /tmp:64Mi".into());
    }
    let bytes = size.unwrap_or(MemoryMount::DEFAULT_BYTES);
    Ok(Mount::memory(path, bytes))
}

/// The option by which one asks for a mount.
pub fn option(mount: &Mount) -> OsString {
    // Whose path no text can have, which only --dir takes.
    if let Some(host) = mount.host().filter(|host| host.to_str().is_none()) {
        let mode = match mount.access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        };
        let mut option = OsString::from("--dir=");
        option.push(host);
        option.push(format!("::{}:{mode}", mount.path));
        return option;
    }
    let mut fields = vec![format!("dst={}", mount.path)];
    if mount.access == Access::ReadOnly {
        fields.push("ro".into());
    }
    let bounds = |memory: &MemoryMount| {
        let bytes = memory.bytes.map(|bytes| format!("size={bytes}"));
        let entries = memory.entries.map(|entries| format!("entries={entries}"));
        bytes.into_iter().chain(entries)
    };
    let path = |source: &MountSource| match source {
        MountSource::Bind(path) | MountSource::Tar(path) => path.display().to_string(),
        other => other.to_string(),
    };
    match &mount.source {
        MountSource::Memory(memory) => {
            fields.push("type=tmpfs".into());
            fields.extend(
                memory
                    .from
                    .as_deref()
                    .map(|from| format!("src={}", path(from))),
            );
            fields.extend(bounds(memory));
        }
        MountSource::Overlay(overlay) => {
            let lower: Vec<_> = overlay.lower.iter().map(path).collect();
            fields.push("type=overlay".into());
            fields.push(format!("lower={}", lower.join(":")));
            match &*overlay.upper {
                MountSource::Memory(memory) => fields.extend(bounds(memory)),
                upper => fields.push(format!("upper={}", path(upper))),
            }
        }
        MountSource::Bind(host) | MountSource::File(host) => {
            fields.extend(["type=bind".into(), format!("src={}", host.display())]);
        }
        MountSource::Volume(name) => {
            fields.extend(["type=volume".into(), format!("src={name}")]);
        }
        MountSource::Tar(archive) => {
            fields.extend(["type=tar".into(), format!("src={}", archive.display())]);
        }
        _ => {}
    }
    let quoted = fields
        .iter()
        .map(|field| match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field.clone(),
        });
    format!("--mount={}", quoted.collect::<Vec<_>>().join(",")).into()
}

/// What was given for each key.
struct Fields(Vec<(&'static str, Option<String>)>);

impl Fields {
    fn of(text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let record = match (records.next(), records.next()) {
            (Some(Ok(record)), None) => record,
            _ => return Err("the form is type=bind|volume|tmpfs|tar|overlay,KEY=VALUE,…".into()),
        };
        let mut fields = Vec::new();
        for field in &record {
            let (word, value) = match field.split_once('=') {
                Some((word, value)) => (word, Some(value.to_owned())),
                None => (field, None),
            };
            let key = key(word)?;
            if fields.iter().any(|(other, _)| *other == key) {
                return Err(format!("{key} is given twice"));
            }
            fields.push((key, value));
        }
        Ok(Fields(fields))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let place = self
            .0
            .iter()
            .position(|(other, value)| *other == key && value.is_some())?;
        self.0.remove(place).1
    }

    fn required(&mut self, key: &str) -> Result<String, String> {
        let value = self.take(key).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{key}=… is missing"))
    }

    fn flag(&mut self, key: &str) -> Result<bool, String> {
        let Some(place) = self.0.iter().position(|(other, _)| *other == key) else {
            return Ok(false);
        };
        match self.0.remove(place).1.as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(value) => Err(format!("{key}={value} is neither true nor false")),
        }
    }

    fn none_left(&self, kind: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((key, None)) => Err(format!("{key} has no value")),
            Some((key, _)) => Err(format!("{key} is not for type={kind}")),
        }
    }
}

fn key(word: &str) -> Result<&'static str, String> {
    let known = KEYS
        .iter()
        .find(|(key, others)| *key == word || others.contains(&word));
    known.map(|(key, _)| *key).ok_or_else(|| {
        let keys: Vec<_> = KEYS.iter().map(|(key, _)| *key).collect();
        format!("there is no {word:?}; the keys are {}", keys.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_typed_as_docker_has_it() {
        let memory = |bytes, entries| {
            MountSource::Memory(MemoryMount {
                bytes,
                entries,
                from: None,
            })
        };
        for (text, path, source, access) in [
            (
                "type=bind,src=/srv,dst=/data,ro",
                "/data",
                MountSource::Bind("/srv".into()),
                Access::ReadOnly,
            ),
            (
                "source=a b,target=/x,readonly=false",
                "/x",
                MountSource::Bind("a b".into()),
                Access::ReadWrite,
            ),
            (
                "type=tmpfs,dst=/tmp,size=64Mi,entries=10",
                "/tmp",
                memory(Some(64 << 20), Some(10)),
                Access::ReadWrite,
            ),
            (
                "type=tar,dst=/t,src=a.tar",
                "/t",
                MountSource::Tar("a.tar".into()),
                Access::ReadOnly,
            ),
            (
                "type=volume,src=v,dst=/v",
                "/v",
                MountSource::Volume("v".into()),
                Access::ReadWrite,
            ),
            (
                "src=Cargo.toml,dst=/c,ro",
                "/c",
                MountSource::File("Cargo.toml".into()),
                Access::ReadOnly,
            ),
            (
                "type=tmpfs,\"dst=/a,b\"",
                "/a,b",
                memory(None, None),
                Access::ReadWrite,
            ),
        ] {
            let mount = mount(text).expect(text);
            assert_eq!(
                (mount.path.as_str(), &mount.source, mount.access),
                (path, &source, access)
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_mount_is_told() {
        for (text, words) in [
            ("", "the form is"),
            ("type=bind,dst=/x", "src=… is missing"),
            ("type=tmpfs", "dst=… is missing"),
            ("type=nfs,dst=/x", "there is no type=nfs; the types are"),
            (
                "type=overlay,lower=/a,dst=/x,src=/y",
                "src is not for type=overlay",
            ),
            ("type=tar,dst=/x,src=/y,rw", "a tar is ro"),
            (
                "type=bind,src=/y,dst=/x,size=1",
                "size is not for type=bind",
            ),
            (
                "type=tmpfs,dst=/x,siz=1",
                "there is no \"siz\"; the keys are",
            ),
            ("type=tmpfs,dst=/x,dst=/y", "dst is given twice"),
            ("type=tmpfs,dst=/x,ro,rw", "either ro or rw"),
            ("type=tmpfs,dst=/x,ro=maybe", "neither true nor false"),
            ("type=tmpfs,dst=/x,size", "size has no value"),
            ("type=tmpfs,dst=/x,size=x", "a number of bytes"),
            ("type=tmpfs,dst=/x,entries=x", "is no number"),
        ] {
            let told = mount(text).expect_err(text);
            assert!(told.contains(words), "{text}: {told}");
        }
        assert!(tmpfs(":1Mi").is_err() && tmpfs("/tmp:x").is_err());
        assert!(volume("v").is_err() && volume(":/v").is_err() && volume("v:").is_err());
    }

    #[test]
    fn a_mount_is_written_as_it_would_be_typed() {
        for typed in [
            tmpfs("/a,\"b:1Mi").expect("a mount"),
            volume("v:/v:ro").expect("a mount"),
            overlay("/some,where::/work").expect("a mount"),
            mount("type=tmpfs,src=/a,dst=/t,size=4096,entries=2").expect("a mount"),
            Mount::tar("a.tar", "/t"),
            Mount::file("Cargo.toml", "/c", Access::ReadOnly),
            Mount::bind("/some,where", "/c", Access::ReadWrite),
            mount("type=overlay,lower=/a:Cargo.toml:/b,upper=/u,dst=/o").expect("a mount"),
        ] {
            let option = option(&typed).into_string().expect("UTF-8");
            let text = option.strip_prefix("--mount=").expect("a mount");
            assert_eq!(mount(text), Ok(typed));
        }
    }
}
