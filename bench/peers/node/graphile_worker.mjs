// graphile-worker at work on jobs that do nothing; with the word `prepare`, its schema.

import { IS_LATENCY, URL, handle, load, serve } from "./worker.mjs";

const { Logger, makeWorkerUtils, run } = load("graphile-worker");
const { Pool } = load("pg");

const DRAINING = { concurrentJobs: 24, localQueue: { size: 1000 }, completeJobBatchDelay: 0 };
const WATCHING = { concurrentJobs: 1, completeJobBatchDelay: 0 };

const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});
const utils = await makeWorkerUtils({ connectionString: URL, logger });
await utils.migrate();
await utils.release();

if (process.argv[2] !== "prepare") {
  const worker = IS_LATENCY ? WATCHING : DRAINING;
  const pgPool = new Pool({ connectionString: URL, max: worker.concurrentJobs + 2 });
  await pgPool.query("select 1");
  const taskList = { noop: () => handle(1) };
  serve(() => run({ pgPool, logger, noHandleSignals: true, taskList, preset: { worker } }));
}
