// pg-boss at work on jobs that do nothing; with the word `prepare`, its schema and queue.

import { IS_LATENCY, URL, handle, load, serve } from "./worker.mjs";

const { PgBoss } = load("pg-boss");

const QUEUE = "noop";
const DRAINING = { batchSize: 1000, localConcurrency: 3, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
const WATCHING = { batchSize: 1000, localConcurrency: 1, pollingIntervalSeconds: 0.5 };

const boss = new PgBoss({ connectionString: URL, useListenNotify: IS_LATENCY });
boss.on("error", console.error);
await boss.start();

if (process.argv[2] === "prepare") {
  await boss.createQueue(QUEUE, { notify: true });
  await boss.stop();
} else {
  const options = IS_LATENCY ? WATCHING : DRAINING;
  serve(() => boss.work(QUEUE, options, async (jobs) => handle(jobs.length)));
}
