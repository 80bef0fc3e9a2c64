//! What an import is that no engine here serves, in words for the guest's author.

use crate::decl::{Import, ImportKind};
use crate::shown::shown;
use crate::wasi::{
    self, PREVIEW1, PREVIEW1_FUNCTIONS, PREVIEW2_INTERFACES, PREVIEW3_INTERFACES, SOCK_ACCEPT,
    UNSTABLE,
};

/// Interfaces of released versions of WASI beyond those of a command.
#[rustfmt::skip]
const BEYOND_COMMANDS: &[&str] = &[
    "cli/run", "clocks/timezone",
    "http/client", "http/handler", "http/incoming-handler", "http/outgoing-handler", "http/types",
];

/// Proposals for WASI: the package, or the core module, that they are imported from begins so.
#[rustfmt::skip]
const PROPOSALS: &[(&str, &str)] = &[
    ("wasi:blobstore/", "wasi-blobstore"), ("wasi:config/", "wasi-config"),
    ("wasi:crypto/", "wasi-crypto"), ("wasi:digital-io/", "wasi-digital-io"),
    ("wasi:frame-buffer/", "wasi-gfx"), ("wasi:graphics-context/", "wasi-gfx"),
    ("wasi:surface/", "wasi-gfx"), ("wasi:webgpu/", "wasi-gfx"),
    ("wasi:i2c/", "wasi-i2c"), ("wasi:keyvalue/", "wasi-keyvalue"),
    ("wasi:logging/", "wasi-logging"), ("wasi:messaging/", "wasi-messaging"),
    ("wasi:nn/", "wasi-nn"), ("wasi:otel/", "wasi-otel"), ("wasi:spi/", "wasi-spi"),
    ("wasi:sql/", "wasi-sql"), ("wasi:tls/", "wasi-tls"), ("wasi:usb/", "wasi-usb"),
    ("wasi_ephemeral_crypto", "wasi-crypto"), ("wasi_ephemeral_nn", "wasi-nn"),
];

/// Functions for sockets that WasmEdge has added to preview1; some also with `_v2` behind.
#[rustfmt::skip]
const WASMEDGE_SOCKETS: &[&str] = &[
    "sock_bind", "sock_connect", "sock_getaddrinfo", "sock_getlocaladdr", "sock_getpeeraddr",
    "sock_getsockopt", "sock_listen", "sock_open", "sock_recv_from", "sock_send_to",
    "sock_setsockopt",
];

/// Modules of JavaScript hosts, and what compiles for them.
const JAVASCRIPT: &[(&str, &str)] = &[
    ("__wbindgen_placeholder__", "wasm-bindgen"),
    ("wbg", "wasm-bindgen"),
    ("go", "Go with GOOS=js; GOOS=wasip1 is for WASI"),
    ("gojs", "Go with GOOS=js; GOOS=wasip1 is for WASI"),
];

impl Import {
    /// Why no engine here serves it, if it is among [`Guest::unknown_imports`](crate::Guest::unknown_imports):
    /// what it is, and the nearest name that is served where one is close. It is read after its name and
    /// "which".
    pub fn why_unknown(&self) -> String {
        if self.kind.is_core() {
            of_module(self)
        } else {
            of_component(self)
        }
    }
}

fn of_module(import: &Import) -> String {
    let (module, name) = (&*import.module, &*import.name);
    if let Some(proposal) = proposal(module) {
        return proposal;
    }
    if let Some((_, compiler)) = JAVASCRIPT.iter().find(|(known, _)| *known == module) {
        return format!("a JavaScript host has ({compiler})");
    }
    if module.starts_with("wasi:") {
        return "is for components: make one of this module, with `wasm-tools component new`"
            .to_owned();
    }
    if module != PREVIEW1 && module != UNSTABLE {
        return match nearest(module, &[PREVIEW1, UNSTABLE]) {
            Some(near) => not_part("WASI", near),
            None => "is not part of WASI".to_owned(),
        };
    }
    if import.kind != ImportKind::Function {
        return format!("is no function, and {module} has nothing else");
    }
    if (module, name) == (UNSTABLE, SOCK_ACCEPT) {
        return format!("{PREVIEW1} has, but not {UNSTABLE}");
    }
    if WASMEDGE_SOCKETS.contains(&name.trim_end_matches("_v2")) {
        return "is not part of WASI preview1: WasmEdge added it, and no engine here serves it"
            .to_owned();
    }
    match nearest(name, PREVIEW1_FUNCTIONS) {
        Some(near) => not_part("WASI preview1", near),
        None => "is not part of WASI preview1".to_owned(),
    }
}

fn of_component(import: &Import) -> String {
    let name = &*import.module;
    if let Some(proposal) = proposal(name) {
        return proposal;
    }
    let Some((interface, version)) = wasi::interface(name) else {
        let is_interface = name.strip_prefix("wasi:").is_some_and(is_known);
        return if is_interface {
            "names no version of WASI".to_owned()
        } else {
            "is not part of WASI".to_owned()
        };
    };
    let release = match version.get(..4) {
        Some("0.2.") => "0.2",
        Some("0.3.") => "0.3",
        _ => {
            return format!(
                "is of no version of WASI that is known ({})",
                shown(version)
            );
        }
    };
    if is_known(interface) {
        return if !wasi::is_release(version) {
            format!(
                "is of a draft from before WASI {release}: build the guest with tools for its release"
            )
        } else if BEYOND_COMMANDS.contains(&interface) {
            format!("is part of WASI {release}, but not of its commands: no engine here serves it")
        } else if import.kind == ImportKind::Instance {
            format!("is not part of WASI {release}, but of another version")
        } else {
            "is an interface of WASI, and not imported as one".to_owned()
        };
    }
    let interfaces = [PREVIEW2_INTERFACES, PREVIEW3_INTERFACES, BEYOND_COMMANDS].concat();
    match nearest(interface, &interfaces) {
        Some(near) => not_part("WASI", &format!("wasi:{near}")),
        None => "is not part of WASI".to_owned(),
    }
}

fn is_known(interface: &str) -> bool {
    [PREVIEW2_INTERFACES, PREVIEW3_INTERFACES, BEYOND_COMMANDS]
        .iter()
        .any(|list| list.contains(&interface))
}

fn proposal(from: &str) -> Option<String> {
    let (_, proposal) = PROPOSALS
        .iter()
        .find(|(start, _)| from.starts_with(start))?;
    Some(format!(
        "is of {proposal}, a proposal for WASI that no engine here serves"
    ))
}

fn not_part(of: &str, near: &str) -> String {
    format!("is not part of {of}: was {near} meant?")
}

/// The name that a slip or two in typing makes `name` of.
pub fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    // What a guest chose may be long, and the distance takes time in proportion to it.
    if name.len() > 100 {
        return None;
    }
    let distances = names
        .iter()
        .map(|near| (strsim::osa_distance(name, near), *near));
    let (distance, near) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(module: &str, name: &str) -> String {
        Import {
            module: module.to_owned(),
            name: name.to_owned(),
            kind: ImportKind::Function,
        }
        .why_unknown()
    }

    fn component(name: &str) -> String {
        Import {
            module: name.to_owned(),
            name: String::new(),
            kind: ImportKind::Instance,
        }
        .why_unknown()
    }

    #[test]
    fn what_is_part_of_wasi_is_not_denied_to_be() {
        assert_eq!(
            component("wasi:http/types@0.2.0"),
            "is part of WASI 0.2, but not of its commands: no engine here serves it"
        );
        assert_eq!(
            component("wasi:http/handler@0.3.0"),
            "is part of WASI 0.3, but not of its commands: no engine here serves it"
        );
        assert_eq!(
            component("wasi:io/streams@0.3.0"),
            "is not part of WASI 0.3, but of another version"
        );
        let draft = component("wasi:io/streams@0.2.0-rc-2023-12-05");
        assert!(
            draft.starts_with("is of a draft from before WASI 0.2"),
            "{draft}"
        );
        assert_eq!(component("wasi:io/streams"), "names no version of WASI");
        assert_eq!(
            component("wasi:io/streams@1.0.0"),
            "is of no version of WASI that is known (1.0.0)"
        );
    }

    #[test]
    fn proposals_are_named() {
        for (told, proposal) in [
            (
                component("wasi:keyvalue/store@0.2.0-draft"),
                "wasi-keyvalue",
            ),
            (component("wasi:nn/graph@0.2.0-rc-2024-10-28"), "wasi-nn"),
            (component("wasi:config/store@0.2.0-rc.1"), "wasi-config"),
            (component("wasi:logging/logging"), "wasi-logging"),
            (core("wasi_ephemeral_nn", "load"), "wasi-nn"),
            (core("wasi_ephemeral_crypto_symmetric", "x"), "wasi-crypto"),
        ] {
            let expected =
                format!("is of {proposal}, a proposal for WASI that no engine here serves");
            assert_eq!(told, expected);
        }
        let sockets = core(PREVIEW1, "sock_getpeeraddr_v2");
        assert!(sockets.contains("WasmEdge added it"), "{sockets}");
    }

    #[test]
    fn the_nearest_name_is_told_where_one_is_close() {
        for (told, meant) in [
            (
                core(PREVIEW1, "fd_wirte"),
                "WASI preview1: was fd_write meant?",
            ),
            (
                core(UNSTABLE, "path_opn"),
                "WASI preview1: was path_open meant?",
            ),
            (
                core("wasi_snapshot_preview2", "fd_write"),
                "WASI: was wasi_snapshot_preview1 meant?",
            ),
            (
                component("wasi:cli/enviroment@0.2.0"),
                "WASI: was wasi:cli/environment meant?",
            ),
        ] {
            assert_eq!(told, format!("is not part of {meant}"));
        }
        assert_eq!(
            core(PREVIEW1, "fd_frobnicate"),
            "is not part of WASI preview1"
        );
        assert_eq!(
            core(PREVIEW1, &"x".repeat(1 << 20)),
            "is not part of WASI preview1"
        );
        assert_eq!(core("env", "log"), "is not part of WASI");
        assert_eq!(component("my:host/log@0.2.0"), "is not part of WASI");
        assert_eq!(
            component("wasi:cli/frobnicate@0.2.0"),
            "is not part of WASI"
        );
    }

    #[test]
    fn what_another_host_would_have_says_so() {
        assert!(core("wbg", "__wbg_log").contains("wasm-bindgen"));
        assert!(core("gojs", "runtime.wasmExit").contains("GOOS=wasip1"));
        assert!(core("wasi:cli/stdout@0.2.0", "get-stdout").contains("wasm-tools component new"));
        assert!(core(UNSTABLE, SOCK_ACCEPT).contains("but not wasi_unstable"));
    }
}
