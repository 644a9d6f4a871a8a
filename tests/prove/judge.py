"""What came of a schedule, and whether that is what should have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg.errors import AdminShutdown, DiskFull

from tests.prove.producers import Producer
from tests.prove.scene import LEASE_SECONDS, Scene
from tests.prove.schedule import Schedule
from tests.prove.watch import Watch

FAULTS_OF_OURS = {"crashed", "push_failed_unexpectedly", "carrier_failed", "batch_unreadable", "batch_not_settled"}
ENDED = (None, AdminShutdown.sqlstate)
"""What a client hears whose server process was ended: that, or nothing but the end of the connection."""
REASONS = ("the contact has no e-mail address", "the contact's e-mail address is malformed")


@dataclass
class Verdict:
    """What came of a schedule; `wrong` is empty where nothing was lost and nothing doubled."""

    schedule: Schedule
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    transactions: int = 0
    rows: int = 0
    looks: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """How many events, by name, have met what they were to meet."""
    has_disks: bool = False
    """Whether a full disk was really full."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds, by what they were spent on."""
    logs: list[str] = field(default_factory=list)


def judge_producers(scene: Scene, producers: Sequence[Producer], watch: Watch, verdict: Verdict) -> None:
    """Their statements neither failed nor waited, but for a server that was away or full, or an ended connection."""
    for producer in producers:
        for trouble in producer.troubles:
            excused = [*scene.downs, *watch.stalls]
            # who cannot even connect is told no SQLSTATE
            if trouble.sqlstate == DiskFull.sqlstate or "No space left on device" in (trouble.error or ""):
                excused += scene.fulls
            is_lost = trouble.error is not None and trouble.sqlstate in ENDED
            is_ended = is_lost and trouble.backend in scene.terminated
            if not (is_ended or any(began <= trouble.ended and trouble.began <= ended for began, ended in excused)):
                took = f"took {trouble.ended - trouble.began:.2f} s"
                verdict.wrong.append(f"a producer's statement {trouble.error or took}: {trouble.statement}")


def judge_rows(scene: Scene, schedule: Schedule, producers: Sequence[Producer], verdict: Verdict) -> None:
    """What was confirmed is there; each row has come to its end, and what was not sent belongs to an act."""
    with scene.connection() as connection:
        known = {row[0] for row in connection.execute("select id from public.message_classifications")}
        ends = Counter(connection.execute("select status, coalesce(last_error, '') from public.sync_queue").fetchall())
    for producer in producers:
        if missing := producer.acknowledged - known:
            verdict.wrong.append(f"{len(missing)} classifications were confirmed by Postgres and are not there")
    for (status, words), times in ends.items():
        is_cancelled = words.startswith("cancelled by ") and "cancelled" in schedule.permits
        if status != "completed" and not (status == "skipped" and (words in REASONS or is_cancelled)):
            verdict.wrong.append(f"{times} rows have ended as {status}: {words or 'nothing says why'}")
    verdict.rows = sum(ends.values())


def judge_logs(scene: Scene, verdict: Verdict) -> None:
    """No daemon tells of a fault of its own; that it could not settle is none where Postgres was away so long."""
    away = sum(ended - began for began, ended in (*scene.downs, *scene.fulls))
    faults = FAULTS_OF_OURS - ({"batch_not_settled"} if away > LEASE_SECONDS / 2 else set())
    for member in scene.crew:
        for child in member.logs:
            for entry in child.log:
                if entry["event"] in faults or "Traceback" in str(entry.get("words", "")):
                    verdict.wrong.append(f"daemon {member.number} says: {entry}")


def last_words(scene: Scene) -> list[str]:
    return [
        f"daemon {member.number}: {entry}"
        for member in scene.crew
        for child in member.logs
        for entry in child.log[-15:]
    ]
