// Tells of arguments, environment and input, and fails: a component that componentize-js makes.

import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.10";
import { getStdin } from "wasi:cli/stdin@0.2.10";
import { getStdout } from "wasi:cli/stdout@0.2.10";

function readToEnd(stream) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    try {
      text += decoder.decode(stream.blockingRead(4096n), { stream: true });
    } catch (error) {
      if (error.payload?.tag === "closed") return text + decoder.decode();
      throw error;
    }
  }
}

export const run = {
  run() {
    const told = {
      arguments: getArguments().slice(1),
      greeting: new Map(getEnvironment()).get("GREETING"),
      lines: readToEnd(getStdin()).trimEnd().split("\n").map((line) => [...line].reverse().join("")),
      power: String(3n ** 50n),
    };
    getStdout().blockingWriteAndFlush(new TextEncoder().encode(JSON.stringify(told) + "\n"));
    console.error("done");
    throw undefined;
  },
};
