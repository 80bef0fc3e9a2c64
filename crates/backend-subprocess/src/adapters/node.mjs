// Runs a module that wants nothing but its standard input and output: `node --eval THIS -- PROGRAM`.
import { readFileSync, writeSync } from "node:fs";
import { WASI } from "node:wasi";

try {
  const wasi = new WASI({ version: "preview1" });
  const module = new WebAssembly.Module(readFileSync(process.argv[1]));
  wasi.start(new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport }));
} catch (error) {
  const name = error instanceof WebAssembly.Exception ? "Exception" : error?.name;
  const told = { name, message: String(error?.message ?? error), story: String(error?.stack ?? error) };
  writeSync(2, JSON.stringify(told));
  process.exit(1);
}
