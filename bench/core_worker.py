"""The queue's core alone: claims and completes with the daemon's own functions, and does nothing in between.

Left out of the full way are the documents, the CRM and what is recorded of it: `crm_sync.claim_lane` without
`compose_batch`, and of `finish_batch` what moves the rows. It speaks the protocol of `bench.workers`; with
BENCH_ROWS in its environment it claims no more once it has claimed so many.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg

CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "2"))
BATCH_ROWS = 1_000
LEASE = timedelta(seconds=60)
COUNT_SECONDS = 0.01
MOST_ROWS = int(os.environ.get("BENCH_ROWS", "0")) or float("inf")
IDLE_SECONDS = 0.005

FINISH = """
create function pg_temp.finish(p_batch_id bigint, p_outcomes jsonb) returns integer
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch crm_sync.batches;
  v_lane crm_sync.lanes;
  v_settled bigint[];
begin
  select l.* into v_lane
  from crm_sync.batches as b
  join crm_sync.lanes as l on l.organization_id = b.organization_id and l.integration_id = b.integration_id
  where b.id = p_batch_id
  for no key update of l;
  select * into v_batch from crm_sync.batches as b where b.id = p_batch_id for update;
  v_settled := crm_sync.settle_rows(v_batch, v_lane, p_outcomes);
  delete from crm_sync.batches as b where b.id = p_batch_id;
  return cardinality(v_settled);
end;
$$
"""


class Core:
    """A few connections, each of which claims a batch of the next lane that is due, and completes it."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()
        self.claimed = 0
        self.settled = 0
        self.due: deque[int] = deque()

    async def work(self, connection: asyncpg.Connection) -> None:
        while self.claimed < MOST_ROWS:
            if not self.due and not await self._discover(connection):
                await asyncio.sleep(IDLE_SECONDS)
                continue
            lane = self.due.popleft()
            batch_id = await connection.fetchval(
                "select crm_sync.claim_lane($1, $2, $3, $4)", self.id, lane, BATCH_ROWS, LEASE
            )
            if batch_id is None:
                continue
            self.due.append(lane)
            rows = await connection.fetchval("select row_ids from crm_sync.batches where id = $1", batch_id)
            self.claimed += len(rows)
            outcomes = json.dumps([{"rows": [row], "status": "synced"} for row in rows])
            settled = await connection.fetchval("select pg_temp.finish($1, $2)", batch_id, outcomes)
            self.settled += settled

    async def _discover(self, connection: asyncpg.Connection) -> bool:
        found = await connection.fetch("select integration_id from crm_sync.due_lanes() where is_due")
        if not self.due:  # another connection may have been faster
            self.due.extend(row["integration_id"] for row in found)
        return bool(self.due)


async def main() -> None:
    core = Core()
    connections = [await asyncpg.connect(os.environ["DATABASE_URL"]) for _ in range(CONNECTIONS)]
    for connection in connections:
        await connection.execute("set role crm_sync_owner")
        await connection.execute(FINISH)
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    print("ready", flush=True)
    await words.readline()
    work = [asyncio.create_task(core.work(connection)) for connection in connections]
    gone = asyncio.create_task(words.readline())
    told = 0
    while not gone.done():
        await asyncio.wait([gone], timeout=COUNT_SECONDS)
        for task in work:
            if task.done():
                task.result()
        if core.settled != told:
            told = core.settled
            print("count", told, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
