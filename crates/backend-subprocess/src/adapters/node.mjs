// Runs a WASI program: `node --eval THIS -- JOB`, where JOB is a JSON file. How the guest ended is
// written to the file that the job names, because an exit code has but eight bits.
import { readFileSync, writeFileSync } from "node:fs";
import { WASI } from "node:wasi";

const job = JSON.parse(readFileSync(process.argv[1], "utf8"));

function end(outcome) {
  writeFileSync(job.outcome, JSON.stringify(outcome));
  process.exit(0);
}

// What went wrong, told by the stage it went wrong in.
function fail(error, kind) {
  const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  if (trap && kind !== "invalid") kind = "trapped";
  else if (error instanceof WebAssembly.Exception) kind = "threw";
  end({ kind, message: String(error?.message ?? error), story: String(error?.stack ?? error) });
}

function attempt(kind, step) {
  try {
    return step();
  } catch (error) {
    return fail(error, kind);
  }
}

const wasi = new WASI({
  version: "preview1",
  args: job.args,
  env: Object.fromEntries(job.env),
  returnOnExit: false,
});
// At once, and not by an exception, which the guest could catch.
wasi.wasiImport.proc_exit = (code) => end({ kind: "exited", code });

const module = attempt("invalid", () => new WebAssembly.Module(readFileSync(job.program)));
const instance = attempt(
  "unlinkable",
  () => new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport }),
);
// `WASI.start` wants a memory and `_start`, and forbids `_initialize`; guests need not comply.
const memory = instance.exports.memory ?? new WebAssembly.Memory({ initial: 0 });
attempt("broken", () => wasi.initialize({ exports: { memory } }));
attempt("failed", () => {
  instance.exports._initialize?.();
  instance.exports[job.entry]();
});
end({ kind: "exited", code: 0 });
