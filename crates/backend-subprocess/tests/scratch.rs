mod common;
use common::*;
use wasmrun_core::*;
#[test]
fn python() {
    let guest = Guest::open("/root/.cache/wasmrun/programs/python.wasm").expect("guest");
    let path = guest.path().map(|p| p.to_owned());
    eprintln!("path {path:?} wasi {:?} props {} init {}", guest.wasi(), guest.proposals(), guest.has_entry("_initialize"));
    for name in ["wasmtime-cli", "wasmedge-cli", "wasmi-cli", "wazero-cli", "node-cli", "wasmer-cli"] {
        let Ok(engine) = wasmrun_backend_subprocess::find(name) else { eprintln!("no {name}"); continue };
        let dir = std::path::Path::new("/tmp/pydir");
        let _ = std::fs::create_dir_all(dir);
        let config = captured().arg("-c").arg("import sys,os; print(sys.argv, dict(os.environ)); print(sys.stdin.read()); open('/tmp/pydir/o','w').write('x'); sys.stderr.write('E'); sys.exit(42)").arg("a b").env("K", "V")
          .stdin(Stdin::Bytes(b"hello stdin".to_vec())).map_dir(dir, "/tmp/pydir", Access::ReadWrite);
        let t = std::time::Instant::now();
        let mut r = run(&engine, &guest, &config);
        if let Err(e) = &r { eprintln!("{name}: {e}"); r = run(&engine, &guest, &captured().arg("-c").arg("import sys,os; print(sys.argv, dict(os.environ)); print(sys.stdin.read()); sys.exit(200)").stdin(Stdin::Bytes(b"hello".to_vec()))); }
        match r { Ok(r) => eprintln!("{name}: {:?} {:?} out={:?} err={:?}", t.elapsed(), r.outcome, text(&r.stdout.bytes), text(&r.stderr.bytes)), Err(e) => eprintln!("{name}: {e}") }
    }
}
