"""A primary that dies under load, its replica that is promoted, and the daemons, which nobody touches.

`make test-failovers` adds five in a row, each to a new replica, and those with asynchronous replication, where what the
replica did not have in time is lost.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from sandbox.postgres import EmbeddedPostgres, NoPostgresError, embedded
from sandbox.server import serve
from sql.migrate import migrate
from tests.house import House, eventually
from tests.listener.crms import KITS
from tests.listener.daemons import Forked, Process, environment
from tests.listener.shop import Shop
from tests.replica import replica_of
from tests.sql.daemon import connect

RECONNECT_SECONDS = 10.0 if "CRM_SYNC_TEST_FAILOVERS" in os.environ else 45.0
"""What operations.md promises of a machine of its own; among all the other tests it is enough that they come back."""
LEASE_SECONDS = "4"
PRODUCERS = 3
LONG = pytest.mark.skipif("CRM_SYNC_TEST_FAILOVERS" not in os.environ, reason="minutes: make test-failovers")
LISTENING = "select count(*) from pg_stat_activity where application_name = 'crm-sync' and query ilike 'listen%%'"


def hosts(*servers: EmbeddedPostgres) -> str:
    """One URL for whichever of them can be written to."""
    parts = urlsplit(servers[0].url)
    login = parts.netloc.rpartition("@")[0]
    places = ",".join(f"127.0.0.1:{each.port}" for each in servers)
    return urlunsplit(parts._replace(netloc=f"{login}@{places}", query="target_session_attrs=read-write"))


def kill(server: EmbeddedPostgres) -> None:
    """As if its machine had lost its power: SIGKILL for all of its processes."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        rows = connection.execute("select pid from pg_stat_activity where pid <> pg_backend_pid()").fetchall()
        (folder,) = connection.execute("select current_setting('data_directory')").fetchone() or ("",)
    postmaster = int((Path(folder) / "postmaster.pid").read_text().split()[0])
    for pid in (postmaster, *(pid for (pid,) in rows)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    eventually(lambda: not server.running, "the end of the primary")


class Producers:
    """Threads that classify messages, each in a transaction of its own; after one that failed comes another one."""

    def __init__(self, url: str, organizations: list[UUID]) -> None:
        self._url = url
        self._organizations = organizations
        self._stop = threading.Event()
        self.committed: set[UUID] = set()
        self.refused = 0
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(PRODUCERS)]

    def __enter__(self) -> Producers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                    while not self._stop.wait(0.05):
                        count += 1
                        self._classify(connection, f"{number}-{count}", self._organizations[count % 3])
            except psycopg.OperationalError:
                self.refused += 1
                self._stop.wait(0.1)

    def _classify(self, connection: psycopg.Connection, name: str, organization: UUID) -> None:
        contact, message = uuid4(), uuid4()
        with connection.transaction():
            connection.execute(
                "insert into public.contacts (id, organization_id, email, first_name, last_name, company) "
                "values (%s, %s, %s, 'First', 'Last', %s)",
                [contact, organization, f"p{name}@example.com", f"Company {len(name)}"],
            )
            connection.execute(
                "insert into public.inbox_messages (id, organization_id, contact_id, subject, body) "
                "values (%s, %s, %s, 'Re: hello', %s)",
                [message, organization, contact, f"body of {name}."],
            )
            connection.execute(
                "insert into public.message_classifications (message_id, intent, requires_human_attention) "
                "values (%s, 'interested', true)",
                [message],
            )
        self.committed.add(message)


class Site:
    """A primary with its replica, the three CRMs, two daemons that know both servers, and producers."""

    def __init__(self, folder: Path, stack: ExitStack, *, synchronous: bool) -> None:
        self._folder, self._stack, self._synchronous = folder, stack, synchronous
        self.primary = stack.enter_context(embedded(fast=True, synchronous_commit="on", wal_keep_size="256MB"))
        migrate(self.primary.url)
        self.house = House(stack.enter_context(connect(self.primary.url)))
        self.standby = self.replicate()
        self.url = hosts(self.primary, self.standby)
        self.shops = []
        for kit in KITS.values():
            emulator = kit.make(30.0)
            self.shops.append(Shop(self.house, emulator, stack.enter_context(serve(emulator.app)).url))
        self.tenants = [shop.tenant() for shop in self.shops]
        self.daemons = [self.start_daemon() for _ in range(2)]
        self.producers = stack.enter_context(Producers(self.url, [each.organization for each in self.tenants]))

    def replicate(self, port: int | None = None) -> EmbeddedPostgres:
        """A replica of the primary; a synchronous one has whatever was committed."""
        standby = self._stack.enter_context(replica_of(self.primary, "standby", port))
        if self._synchronous:
            self.house.connection.execute("alter system set synchronous_standby_names = 'standby'")
            self.house.connection.execute("select pg_reload_conf()")
        wanted = "sync" if self._synchronous else "async"
        states = "select sync_state from pg_stat_replication where state = 'streaming'"
        eventually(lambda: self.house.rows(states) == [(wanted,)], f"{wanted} replication")
        return standby

    def start_daemon(self) -> Process:
        environ = environment(self.url, CRM_SYNC_LEASE_SECONDS=LEASE_SECONDS, CRM_SYNC_LOG_LEVEL="info")
        started = Forked(self._folder, environ)
        self._stack.callback(started.process.wait, 30)
        self._stack.callback(started.process.kill)
        started.wait_until_ready()
        return started

    def produce(self, count: int) -> None:
        before = len(self.producers.committed)
        eventually(lambda: len(self.producers.committed) >= before + count, "producers that get through", 60)

    def synced(self) -> int:
        return int(self.house.value("select sum(synced) from crm_sync.accounting"))

    def fail_over(self) -> float:
        """Kill the primary, promote the replica; returns after how many seconds all daemons listened and completed."""
        kill(self.primary)
        eventually(lambda: all(each.events("database_trouble") for each in self.daemons), "trouble")
        self.primary, self.standby = self.standby, self.primary
        self.house = House(self._stack.enter_context(connect(self.primary.url)))
        completed = self.synced()
        self.house.connection.execute("alter system reset synchronous_standby_names")
        self.house.connection.execute("select pg_reload_conf()")
        self.house.connection.execute("select pg_promote(true)")
        promoted = time.monotonic()
        for shop in self.shops:
            shop.house = self.house
        eventually(
            lambda: self.house.value(LISTENING) == len(self.daemons) and self.synced() > completed,
            "daemons that listen and complete",
            RECONNECT_SECONDS,
        )
        took = time.monotonic() - promoted
        print(f"at work {took:.1f} s after the promotion; producers were refused {self.producers.refused} times")
        return took

    def settle(self) -> None:
        self.shops[0].wait_until_settled(seconds=120)
        left = "select queue_type, status, last_error, failure from public.sync_queue where status <> 'completed'"
        assert self.house.rows(left) == []
        assert self.house.value("select generation from crm_sync.fence") == 1, "no claim was needed"
        assert all(each.process.poll() is None for each in self.daemons), "nobody was restarted"

    def lost(self) -> set[UUID]:
        """What was confirmed to a producer and is not there."""
        there = {message for (message,) in self.house.rows("select message_id from public.message_classifications")}
        return self.producers.committed - there


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def open_(*, synchronous: bool) -> Site:
            try:
                return Site(tmp_path, stack, synchronous=synchronous)
            except NoPostgresError as error:
                pytest.skip(str(error))

        yield open_


def test_a_failover_under_load_loses_nothing_doubles_nothing_and_wants_nobody(open_site: Callable[..., Site]) -> None:
    site = open_site(synchronous=True)
    site.produce(60)
    site.fail_over()
    site.produce(60)
    site.producers.stop()
    assert site.lost() == set()
    site.settle()
    for shop, tenant in zip(site.shops, site.tenants, strict=True):
        shop.assert_exact(tenant)

    # the old primary comes back, as one that takes writes: nobody who has seen the new one writes to it
    site.standby.start()
    ours = "select count(*) from pg_stat_activity where application_name = 'crm-sync'"
    with connect(site.standby.url) as old:
        site.house.rows("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'crm-sync'")
        site.shops[0].reply(site.tenants[0])
        site.shops[0].wait_until_settled(site.tenants[0])
        eventually(lambda: site.house.value(LISTENING) == 2, "daemons that listen again")
        # whoever connects looks at it for a moment, and leaves
        eventually(lambda: old.execute(ours).fetchone() == (0,), "an old primary that all have left")
    assert all(each.events("host_left_behind") for each in site.daemons)
    # and one that has seen nothing finds the newer of the two
    late = site.start_daemon()
    assert site.house.value("select count(*) from crm_sync.workers where pid = %s", late.process.pid) == 1
    site.shops[0].assert_exact(site.tenants[0])


@LONG
def test_five_failovers_in_a_row(open_site: Callable[..., Site]) -> None:
    """Each to a replica made of the last one that was promoted, in the place of the one that was killed."""
    site = open_site(synchronous=True)
    for _ in range(5):
        site.produce(60)
        site.fail_over()
        site.produce(30)
        port = site.standby.port
        site.standby = site.replicate(port)
    site.producers.stop()
    assert site.lost() == set()
    site.settle()
    for shop, tenant in zip(site.shops, site.tenants, strict=True):
        shop.assert_exact(tenant)


@LONG
@pytest.mark.parametrize("attempt", range(3))
def test_what_an_asynchronous_replica_lacked_is_lost_and_nothing_is_doubled(
    open_site: Callable[..., Site], attempt: int
) -> None:
    """The CRM may keep what the database has lost; what was done there, and whose completion was lost, is done once."""
    site = open_site(synchronous=False)
    site.produce(60)
    with psycopg.connect(site.standby.url, autocommit=True) as replica:
        replica.execute("alter system set primary_conninfo = ''")
        replica.execute("select pg_reload_conf()")
        streaming = "select count(*) from pg_stat_wal_receiver"
        eventually(lambda: replica.execute(streaming).fetchone() == (0,), "a replica that is cut off")
    done = site.synced()
    eventually(lambda: site.synced() > done + 40, "work of which the replica knows nothing")
    site.fail_over()
    site.produce(60)
    site.producers.stop()
    assert site.lost(), "what the replica did not have"
    site.settle()
    for shop, tenant in zip(site.shops, site.tenants, strict=True):
        found = tenant.account.found()
        wanted = {
            email
            for (email,) in site.house.rows(
                "select lower(email) from public.contacts where organization_id = %s", tenant.organization
            )
        }
        assert wanted <= set(found.contacts)
        for what in (found.contacts, found.companies):
            assert len(what) == len(set(what))
        for entries in (found.deals, found.notes, found.tasks):
            of = Counter(contact for entry in entries for contact in entry.contacts)
            assert set(of.values()) == {1}, "one for each contact, also of those that are lost"
            assert wanted <= set(of)
        shop.assert_accounts()
