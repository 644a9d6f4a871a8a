"""Plays schedules, one after the other: on a Postgres of its own, with a database, CRMs and daemons for each."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psycopg

from sandbox.postgres import embedded
from sql.migrate import migrate
from tests.listener.relay import relay
from tests.nursery import Nursery
from tests.postgres import TestServer, make_logins_cheap
from tests.prove.disks import LOG_SETTINGS, TABLESPACE, Disks
from tests.prove.judge import Verdict
from tests.prove.plants import Plant
from tests.prove.play import Play, end_daemons
from tests.prove.scene import Member, Scene
from tests.prove.schedule import Schedule

# Tables that are full say so as Postgres does; producers write to none of them but sync_queue, and that by INSERT.
ROOM = """
create schema prove;
grant usage on schema prove to public;
create table prove.full_tables (name text primary key);
grant select on prove.full_tables to public;
create table prove.spilled (text text);
create sequence prove.refusals; -- goes on although what was refused is rolled back
create function prove.write() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from prove.full_tables as f where tg_table_name like f.name || '%') then
    perform pg_catalog.nextval('prove.refusals');
    raise exception using errcode = '53100', message = 'could not extend file "base/1/2": No space left on device',
      hint = 'Check free disk space.';
  end if;
  return null;
end;
$$;
"""
WRITES = (
    ("public.sync_queue", "update"),
    ("crm_sync.batches", "insert or update or delete"),
    ("public.contact_sync_mappings", "insert or update"),
    ("crm_sync.effects", "insert or update"),
    ("public.sync_activity_logs", "insert"),
    ("crm_sync.lanes", "update"),
)


class Lane:
    """A Postgres, a template and a nursery; made by `lane`.

    `plant` is what each database or daemon has wrong from the beginning, to see the driver find it.
    """

    def __init__(self, stack: ExitStack, plant: Plant | None = None, disks: Disks | None = None) -> None:
        # what a commit has confirmed must survive a crash of the server; one of the machine is not among the faults
        self._postgres = stack.enter_context(
            embedded(fast=True, synchronous_commit=True, max_connections=100, shared_buffers="32MB", **LOG_SETTINGS)
        )
        self._disks = disks
        if disks is not None:
            disks.give(self._postgres)
        make_logins_cheap(self._postgres.url)
        self._server = TestServer(self._postgres.url, "embedded", "of a lane")
        self._template = self._server.create_database()
        migrate(self._template)
        with psycopg.connect(self._template, autocommit=True) as connection:
            connection.execute(ROOM)
            for table, verbs in WRITES:
                connection.execute(
                    f"create trigger prove_write after {verbs} on {table} "
                    "for each statement execute function prove.write()".encode()
                )
            if plant is not None and plant.changes:
                connection.execute(plant.sql.encode())
        self._nursery = Nursery(None if plant is None else plant.attribute)
        stack.callback(self._nursery.close)

    def play(self, schedule: Schedule) -> Verdict:
        """Play it to its end, and look at what came of it."""
        began = time.monotonic()
        verdict = Verdict(schedule, has_disks=self._disks is not None)
        is_small = self._disks is not None and any(each.event.needs_small_disk for each in schedule.events)
        url = self._server.create_database(self._template, TABLESPACE if is_small else None)
        folder = Path(tempfile.mkdtemp(prefix="crm-sync-prove-"))
        try:
            with ExitStack() as stack:
                sizes = enumerate(schedule.batch_sizes)
                crew = [Member(number, stack.enter_context(relay(url)), size) for number, size in sizes]
                scene = Scene(self._postgres, url, self._nursery, crew, folder, self._disks)
                stack.callback(end_daemons, scene)
                play = Play(scene, schedule, verdict)
                stack.callback(play.end)
                for name, part in (
                    ("beginning", partial(play.begin, stack)),
                    ("faults", play.suffer),
                    ("settling", play.settle),
                    ("judging", play.judge),
                ):
                    part()
                    verdict.phases[name] = round(time.monotonic() - began - sum(verdict.phases.values()), 2)
        except Exception as error:  # noqa: BLE001 - a schedule that cannot be played has failed
            verdict.wrong.append(f"the driver failed: {type(error).__name__}: {error}")
        finally:
            if self._disks is not None:
                self._disks.free()
            self._postgres.start()
            self._server.drop_database(url)
            shutil.rmtree(folder, ignore_errors=True)
        verdict.seconds = time.monotonic() - began
        return verdict


@contextmanager
def lane(plant: Plant | None = None) -> Iterator[Lane]:
    """A lane, gone at the end with all that it has started."""
    with ExitStack() as stack:
        yield Lane(stack, plant)
