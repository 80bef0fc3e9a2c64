//! What code that is kept depends on.

use wasmrun_core::fingerprint;
use wasmrun_rewrite::FINGERPRINT;
use wasmrun_wasi_preview1::HOSTCALL_FUEL;

use crate::program_file::Stamp;
use crate::runtime::Runtime;

/// What the files that runtimes are given depend on beside the guest, the options, and the runtime's name
/// and version.
pub(crate) fn identity(runtime: &Runtime) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let ours = format!("{version} {OURS:x} {FINGERPRINT:x} {HOSTCALL_FUEL}");
    let theirs = runtime.adapter.compiler().map(|_| {
        // Another build of the same version may take other files.
        let build = Stamp::of(&runtime.path);
        format!("{build:?}\n{:?}", processor())
    });
    format!("{ours}\n{}", theirs.unwrap_or_default()).into_bytes()
}

/// Where it is decided what is in them.
const OURS: u64 = fingerprint([
    include_bytes!("adapter.rs"),
    include_bytes!("adapters/node.rs"),
    include_bytes!("adapters/wasmedge.rs"),
    include_bytes!("adapters/wasmer.rs"),
    include_bytes!("adapters/wasmi.rs"),
    include_bytes!("adapters/wasmtime.rs"),
    include_bytes!("adapters/wazero.rs"),
    include_bytes!("adapters/wazero/source_map.rs"),
    include_bytes!("ahead.rs"),
    include_bytes!("component.rs"),
    include_bytes!("packed.rs"),
    include_bytes!("relay/apart.rs"),
    include_bytes!("relay/call.rs"),
    include_bytes!("relay/distant.rs"),
    include_bytes!("relay/memory.rs"),
    include_bytes!("relay/mod.rs"),
    include_bytes!("relay/obey.rs"),
    include_bytes!("relay/protocol.rs"),
    include_bytes!("relay/rewrite.rs"),
    include_bytes!("relay/standby.rs"),
    include_bytes!("relay/streams.rs"),
    include_bytes!("relay/values.rs"),
]);

macro_rules! features {
    ($detected:ident: $($feature:tt)*) => {
        [$(($feature, std::arch::$detected!($feature))),*]
    };
}

/// What of the processor compilers look at: code for one machine may not run on another with which
/// the cache is shared.
#[cfg(target_arch = "x86_64")]
fn processor() -> impl std::fmt::Debug {
    features!(is_x86_feature_detected:
        "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "lzcnt" "bmi1" "bmi2" "fma" "f16c" "avx" "avx2"
        "avxvnni" "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512vbmi" "avx512bitalg"
        "aes" "pclmulqdq" "sha" "adx" "movbe" "cmpxchg16b")
}

#[cfg(target_arch = "aarch64")]
fn processor() -> impl std::fmt::Debug {
    features!(is_aarch64_feature_detected:
        "lse" "paca" "pacg" "fp16" "dotprod" "sve" "sve2" "bti" "aes" "sha2" "crc" "rcpc")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn processor() -> impl std::fmt::Debug {
    std::env::consts::ARCH
}
