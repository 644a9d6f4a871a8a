"""The job queues that we are measured beside, each at the best settings that were found for it."""

from __future__ import annotations

from bench.peers.base import NodePeer, Peer, PythonPeer

__all__ = ["PEERS", "Peer"]

PEERS: tuple[Peer, ...] = (
    PythonPeer(
        name="pgqueuer",
        package="pgqueuer",
        settings="asyncpg, uvloop, gc.freeze, a pool of 4, batch_size 1000",
        enqueue="""
            with job as (
              insert into pgqueuer (priority, entrypoint, execute_after, headers, status)
              select 0, 'noop', now(), 'null', 'queued' from generate_series(1, %(jobs)s)
              returning id, status, entrypoint, priority
            )
            insert into pgqueuer_log (job_id, status, entrypoint, priority) select id, status, entrypoint, priority from job
        """,
        unfinished="select from pgqueuer",
        tables="pgqueuer, pgqueuer_log, pgqueuer_statistics",
        worker="pgqueuer_worker",
        schema=("pgq", "sql", "install"),
    ),
    PythonPeer(
        name="procrastinate",
        package="procrastinate",
        settings="uvloop, gc.freeze, a pool of 10 in autocommit, concurrency 10, delete_jobs always",
        enqueue="""
            select procrastinate_defer_jobs_v1(array_agg(
              row('default', 'noop', 0, null, null, '{}', null)::procrastinate_job_to_defer_v1
            ))
            from generate_series(1, %(jobs)s)
        """,
        unfinished="select from procrastinate_jobs where status in ('todo', 'doing')",
        tables="procrastinate_jobs, procrastinate_events",
        worker="procrastinate_worker",
        schema=("procrastinate", "schema", "--read"),
    ),
    NodePeer(
        name="graphile_worker",
        package="graphile-worker",
        settings="localQueue 1000, completeJobBatchDelay 0, concurrentJobs 24; for latency no localQueue, concurrentJobs 1",
        enqueue="""
            select count(*) from graphile_worker.add_jobs((
              select array_agg(('noop', '{}', null, null, null, null, null, null)::graphile_worker.job_spec)
              from generate_series(1, %(jobs)s)
            ))
        """,
        unfinished="select from graphile_worker._private_jobs",
        tables="graphile_worker._private_jobs",
        worker="graphile_worker.mjs",
    ),
    NodePeer(
        name="pg_boss",
        package="pg-boss",
        settings="batchSize 1000, localConcurrency 3, burstWhenBatchFull; for latency NOTIFY, localConcurrency 1",
        enqueue="""
            with job as (
              insert into pgboss.job (name, data, policy)
              select q.name, '{}', q.policy from pgboss.queue as q, generate_series(1, %(jobs)s) where q.name = 'noop'
              returning name
            )
            select pg_notify('pgboss_' || left(encode(sha224('pgboss'), 'hex'), 24), name) from (select name from job limit 1) as j
        """,
        unfinished="select from pgboss.job where name = 'noop' and state in ('created', 'retry', 'active')",
        tables="pgboss.job",
        worker="pg_boss.mjs",
    ),
)
