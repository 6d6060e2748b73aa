// One measurement of graphile-worker: enqueues N jobs in batches while a runner works them off; prints the seconds from the first enqueue until the
// table is empty. Tuned as its documentation on performance says: local queue, batched completion, no log lines, many jobs at once. Nine settings
// were tried; one with a completion delay of 250 ms needed 5 % less processor time, but that delay would count against it here.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const [connectionString, count, batch, producers] = [process.argv[2], ...process.argv.slice(3, 6).map(Number)];
const tuning = { concurrentJobs: 200, size: 1000, delay: 50, ...JSON.parse(process.argv[6] ?? "{}") };
const logger = new Logger(() => () => {});
const pgPool = new pg.Pool({ connectionString, max: 10 });

let done = 0;
const utils = await makeWorkerUtils({ pgPool, logger });
await utils.migrate();
const runner = await run({
  pgPool,
  noHandleSignals: true,
  taskList: { noop: async () => { done++; } },
  preset: {
    worker: {
      logger,
      concurrentJobs: tuning.concurrentJobs,
      maxPoolSize: 10,
      pollInterval: 1000,
      localQueue: { size: tuning.size },
      completeJobBatchDelay: tuning.delay,
      failJobBatchDelay: tuning.delay,
    },
  },
});

const began = process.hrtime.bigint();
let next = 0;
async function produce() {
  while (next < count) {
    const from = next;
    next += batch;
    await utils.addJobs(Array.from({ length: batch }, (_, k) => ({ identifier: "noop", payload: { id: from + k } })));
  }
}
await Promise.all(Array.from({ length: producers }, produce));
while (done < count) await new Promise((resolve) => setTimeout(resolve, 1));
while ((await pgPool.query("select 1 from graphile_worker._private_jobs limit 1")).rowCount) await new Promise((resolve) => setTimeout(resolve, 1));
console.log(Number(process.hrtime.bigint() - began) / 1e9);
await runner.stop();
await utils.release();
await pgPool.end();
