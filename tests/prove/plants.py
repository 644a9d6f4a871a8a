"""Defects that can be planted into the databases or the daemons of a run, to see that they are found: `--plant NAME`.

What no schedule can show, because it is no loss and no double here: a budget that is not given back (each call is paid
before it is made, there is nothing to give back; the emulators of a schedule enforce no limits, and
`tests/listener/test_budget.py` counts what is spent); a doorbell that does not ring (daemons look every half second;
`tests/sql/test_doorbell.py` has them sleep); rows that a promoted replica forgot (`tests/test_failover.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sql.migrate import ROOT


@dataclass(frozen=True)
class Plant:
    """A defect.

    Attributes:
        words: what it is.
        changes: function, what is right in it, and what is planted instead.
        shown_by: kinds of events without one of which no schedule shows it; seeds that have none are left out.
        attribute: of the daemon's Python, as `module:name`, and the value it gets.
    """

    words: str
    changes: tuple[tuple[str, str, str], ...] = ()
    shown_by: tuple[str, ...] = ()
    attribute: tuple[str, float] | None = None

    @property
    def sql(self) -> str:
        """What plants it into a database; raises ValueError where the place is gone."""
        texts: dict[str, str] = {}
        for function, right, wrong in self.changes:
            text = texts.get(function) or (ROOT / "functions" / f"{function}.sql").read_text()
            if right not in text:
                raise ValueError(f"{function} has no {right!r} any more: choose another place")
            texts[function] = text.replace(right, wrong)
        return "\n".join(texts.values())


STALE_COMPLETION = """
    update public.sync_queue as q
    set status = 'completed', completed_at = now(), batch_id = null, next_attempt_at = null
    from jsonb_to_recordset(p_outcomes) as o (rows bigint[], status text)
    where o.status = 'synced' and q.id = any (o.rows) and q.completed_at is null;
    return 0;"""

PLANTS: dict[str, Plant] = {
    "cancel": Plant(
        "an operator cancels what is being sent as well",
        (
            ("cancel", "array_agg(c.id) filter (where c.batch_id is null) as ids", "array_agg(c.id) as ids"),
            ("cancel", "set status = 'skipped',", "set status = 'skipped', batch_id = null,"),
            ("cancel", "q.status in ('pending', 'retry', 'failed')", "q.completed_at is null"),
        ),
        shown_by=("Cancel",),
    ),
    "claim": Plant(
        "a claim takes contacts that are being worked on",
        (
            (
                "claim_lane",
                "(q.contact_id in (select u.contact_id from unnest(v_under_way.contacts) as u (contact_id))) is not",
                "true is",
            ),
        ),
    ),
    "completion": Plant(
        "a completion does not ask whether its batch was taken over",
        (("finish_batch", "    return 0; -- the lease ended", STALE_COMPLETION + " -- the lease ended"),),
        shown_by=("Overtaken",),
    ),
    "deal": Plant(
        "a deal's key does not stay", (("compose_deals", "'key', d.key,", "'key', d.key || ':' || gen_random_uuid(),"),)
    ),
    "fence": Plant(
        "a call does not ask whether its batch was taken over",
        (("spend_budget", "not exists (select from crm_sync.batches as b where b.id = p_batch_id)", "false"),),
        shown_by=("Overtaken",),
    ),
    "finish": Plant(
        "a completion forgets what follows",
        (("record_contacts", "perform crm_sync.enqueue_follow_ups(p_batch, p_outcomes);", "null;"),),
    ),
    "forget": Plant(
        "a row that is tried again is not known as uncertain any more",
        (("settle_rows", "uncertain = j.uncertain,", "uncertain = false,"),),
        shown_by=("DroppedAnswer", "CutBody", "Late"),
    ),
    "late": Plant(
        "a call that was granted before its daemon stood still is made without asking again",
        shown_by=("Overtaken",),
        attribute=("providers.base:STALE_SECONDS", 1e9),
    ),
    "orphans": Plant(
        "of the classifications that came before their messages one is not taken up",
        (("adopt_orphans", "enqueue_classifications(v_ids);", "enqueue_classifications(v_ids[2:]);"),),
    ),
    "release": Plant(
        "a row that is handed back stays with a batch that is gone",
        (("settle_rows", "(u.id in (select s.id from unnest(v_settled) as s (id))) is not true", "false"),),
    ),
    "takeover": Plant(
        "a takeover forgets what may have been sent",
        (("take_over_expired", "uncertain = true", "uncertain = false"),),
        shown_by=("KillAfterMaking",),
    ),
}
