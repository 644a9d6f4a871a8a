"""What is ours beside the peers: the queue's core alone, and the full way with a CRM that is a function."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import psycopg

from bench.cluster import KEY, furnish
from bench.load import ROWS, load
from bench.peers.base import Peer
from listener import __version__
from sql.migrate import migrate

LANES = 50
MANY = 200_000
ROWS_PER_MESSAGE = 2.25
"""A contact and a message for each, and a deal for one in four."""


@dataclass(frozen=True)
class Ours(Peer):
    """A daemon of ours, on a database of its own with `LANES` connections of as many organizations."""

    contacts: int
    """Of each organization."""

    @property
    def version(self) -> str:
        return __version__

    def install(self) -> None:
        """It is what you are looking at."""

    def prepare(self, url: str) -> None:
        migrate(url)
        furnish(url, LANES, self.contacts)

    def command(self) -> list[str]:
        return [sys.executable, "-m", self.worker]

    def environ(self, url: str) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": url,
            "INTEGRATION_ENCRYPTION_KEY": KEY,
            "CRM_SYNC_LOG_LEVEL": "error",
        }

    def clear(self, url: str) -> None:
        super().clear(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "update crm_sync.lanes set cursors = default, look_behind_at = default, search_all_at = default"
            )


@dataclass(frozen=True)
class Core(Ours):
    """The queue alone."""

    def fill(self, url: str, jobs: int) -> None:
        load(url, jobs, 0) if jobs > MANY else super().fill(url, jobs)


UNFINISHED = "select from public.sync_queue where status in ('pending', 'retry', 'processing')"

CORE = Core(
    name="pg_crm_sync",
    package="pg-crm-sync",
    settings="batches of 1,000 rows, 2 connections",
    enqueue=ROWS.replace("%(status)s", "'pending'"),
    unfinished=UNFINISHED,
    tables="public.sync_queue, crm_sync.batches",
    worker="bench.core_worker",
    contacts=1,
)

FULL = Ours(
    name="pg_crm_sync_full",
    package="pg-crm-sync",
    settings="the daemon as it is delivered, its CRM a function in its own process",
    enqueue=f"""
        insert into public.message_classifications (message_id, intent)
        select m.id, case when row_number() over () %% 4 = 0 then 'interested' else 'question' end
        from public.inbox_messages as m
        limit %(jobs)s / {ROWS_PER_MESSAGE}
    """,
    unfinished=UNFINISHED,
    tables="public.message_classifications, public.sync_queue, public.contact_sync_mappings, crm_sync.effects, public.sync_activity_logs, crm_sync.batches",
    worker="bench.null_daemon",
    contacts=400,
)
