"""Defects that can be planted into the databases of a run, to see that they are found: `--plant NAME`."""

from __future__ import annotations

from sql.migrate import ROOT

# function, what is right in it, and what is planted instead
PLANTS: dict[str, tuple[str, str, str]] = {
    "claim": (
        "claim_lane",
        "(q.contact_id in (select u.contact_id from unnest(v_under_way.contacts) as u (contact_id))) is not true",
        "true",
    ),
    "deal": ("compose_deals", "'key', d.key,", "'key', d.key || ':' || gen_random_uuid(),"),
    "fence": ("spend_budget", "not exists (select from crm_sync.batches as b where b.id = p_batch_id)", "false"),
    "finish": ("record_contacts", "perform crm_sync.enqueue_follow_ups(p_batch, p_outcomes);", "null;"),
    "takeover": ("take_over_expired", "uncertain = true", "uncertain = false"),
}
"""A claim that takes contacts that are being worked on; a deal without a key that stays; calls that do not ask whether
their batch is still theirs; a completion that forgets what follows; a takeover that forgets what may have been sent."""


def plant(name: str) -> str:
    """The SQL that plants it; raises KeyError for an unknown name, ValueError where the place is gone."""
    function, right, wrong = PLANTS[name]
    text = (ROOT / "functions" / f"{function}.sql").read_text()
    if right not in text:
        raise ValueError(f"{function} has no {right!r} any more: choose another place for {name}")
    return text.replace(right, wrong)
