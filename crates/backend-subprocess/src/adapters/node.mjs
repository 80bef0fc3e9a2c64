// Runs a module that wants nothing but its standard input and output: `node --eval THIS -- PROGRAM`.
import { readFileSync, writeSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

// V8 aborts if it collects garbage in a host call that it makes without leaving compiled code. What does not know the
// flag says so, and goes on.
setFlagsFromString("--no-turbo-fast-api-calls");

let began = false;
try {
  const wasi = new WASI({ version: "preview1" });
  const module = new WebAssembly.Module(readFileSync(process.argv[1]));
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport });
  began = true;
  wasi.start(instance);
} catch (error) {
  const name = error instanceof WebAssembly.Exception ? "Exception" : error?.name;
  const told = { name, began, message: String(error?.message ?? error), story: String(error?.stack ?? error) };
  writeSync(2, JSON.stringify(told));
  process.exit(1);
}
