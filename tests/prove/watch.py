"""What must be true at every moment, looked at ten times a second by one session."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import psycopg

from tests.prove.producers import NAME

EVERY_SECONDS = 0.1
STALLED_SECONDS = 0.5
"""A look that comes so much too late says that the machine has stood still, and nothing about the producers."""

# One statement, one snapshot: what is wrong in it, in words; nothing where nothing is.
WRONG = """
select format('accounting differs by %s on connection %s', a.difference, a.integration_id)
from crm_sync.accounting as a where a.difference <> 0
union all
select format('row %s (%s, %s) has no exit: %s', q.id, q.queue_type, q.status, w.words)
from public.sync_queue as q
cross join lateral (
  select case
    when q.status = 'processing' and not exists (
      select from crm_sync.batches as b where b.id = q.batch_id and q.id = any (b.row_ids) and b.lease_until < 'infinity'
    ) then 'nobody works on it'
    when q.status in ('pending', 'retry') and (q.batch_id is not null or q.completed_at is not null) then 'it waits, and is taken or done'
    when q.status in ('pending', 'retry') and q.next_attempt_at > now() + interval '1 day' then 'it waits for ever'
    when q.status in ('completed', 'failed', 'skipped') and (q.batch_id is not null or q.completed_at is null) then 'it is done, and is not'
    when q.status in ('failed', 'skipped') and coalesce(btrim(q.last_error), '') = '' then 'nothing says why'
  end as words
) as w
where w.words is not null
union all
select format('batch %s holds row %s, which is not its own', b.id, u.id)
from crm_sync.batches as b
cross join lateral unnest(b.row_ids) as u (id)
left join public.sync_queue as q on q.id = u.id
where q.batch_id is distinct from b.id
union all
select format('connection %s waits for a person and does not say why', l.integration_id)
from crm_sync.lanes as l join public.user_integrations as i on i.id = l.integration_id
where l.parked_until = 'infinity' and (i.status <> 'error' or l.parked_reason is null)
union all
select format('classification %s was committed and is nowhere', c.id)
from public.message_classifications as c
where not exists (select from public.sync_queue as q where q.classification_id = c.id)
  and not exists (select from crm_sync.orphans as o where o.classification_id = c.id)
union all
select format('contact %s is worked on twice at once on connection %s', u.contact_id, b.integration_id)
from crm_sync.batches as b cross join lateral unnest(b.contact_ids) as u (contact_id)
group by b.integration_id, u.contact_id having count(*) > 1
limit 20
"""  # noqa: E501

BLOCKED = """
select distinct p.pid, b.application_name
from pg_stat_activity as p
cross join lateral unnest(pg_blocking_pids(p.pid)) as u (pid)
join pg_stat_activity as b on b.pid = u.pid
where p.application_name = %s and p.wait_event_type = 'Lock'
"""


class Watch:
    """A thread that looks, until it is told to stop.

    Attributes:
        wrong: what was seen, and how often.
        looks: how many snapshots were looked at.
        stalls: from when to when nothing went on, this process included.
    """

    def __init__(self, url: str, tick: Callable[[], None]) -> None:
        self.wrong: Counter[str] = Counter()
        self.looks = 0
        self.stalls: list[tuple[float, float]] = []
        self.error: BaseException | None = None
        self._url, self._tick = url, tick
        self._blocked: set[tuple[int, str]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        connection: psycopg.Connection | None = None
        try:
            while not self._stop.is_set():
                try:
                    if connection is None or connection.closed:
                        connection = psycopg.connect(
                            self._url, autocommit=True, connect_timeout=5, application_name="prove watch"
                        )
                    self.look(connection)
                except psycopg.OperationalError:
                    pass  # it is away just now; the next look is soon
                self._tick()
                due = time.monotonic() + EVERY_SECONDS
                self._stop.wait(EVERY_SECONDS)
                if (now := time.monotonic()) > due + STALLED_SECONDS:
                    self.stalls.append((due, now))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self.error = error
        finally:
            if connection is not None:
                connection.close()

    def look(self, connection: psycopg.Connection) -> None:
        """One snapshot, and who waits for whom."""
        self.wrong.update(words for (words,) in connection.execute(WRONG))
        self.looks += 1
        blocked = {(pid, name) for pid, name in connection.execute(BLOCKED, [NAME]) if name.startswith("crm-sync")}
        for pid, name in blocked & self._blocked:
            self.wrong[f"a producer (backend {pid}) waits for a lock of {name}"] += 1
        self._blocked = blocked
