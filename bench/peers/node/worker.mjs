// What the peers' workers for Node share: the protocol of bench/workers.py, and where their packages are.

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const REPORT_MS = 100;

export const IS_LATENCY = process.env.BENCH_LATENCY === "1";
export const URL = process.env.DATABASE_URL;
export const load = createRequire(resolve(process.env.BENCH_NODE_MODULES, "package.json"));

let handled = 0;

/** So many more jobs were handled. */
export function handle(jobs) {
  if (IS_LATENCY) console.log(`start ${process.hrtime.bigint()}`);
  handled += jobs;
}

/** Say that everything is ready, and work from `go` until standard input ends. */
export function serve(work) {
  let said = 0;
  setInterval(() => {
    if (said !== handled) console.log(`count ${(said = handled)}`);
  }, REPORT_MS);
  const lines = createInterface({ input: process.stdin });
  lines.once("line", work);
  // nothing is left to be saved: the benchmark has looked, and a library's own farewell may take seconds
  lines.once("close", () => process.exit(0));
  console.log("ready");
}
