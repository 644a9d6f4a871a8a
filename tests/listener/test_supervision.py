"""What systemd hears: ready, alive or not, how it stands. The watchdog is fed by the work that goes round alone."""

from __future__ import annotations

import os
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from listener.documents import Headline
from listener.settings import urls_of, watchdog
from listener.supervisor import MOST_ROWS, Supervisor, words_of
from sandbox.faults import Fault
from tests.house import House, eventually
from tests.listener.daemons import Process, environment, process
from tests.listener.ear import Ear, ear
from tests.listener.relay import relay
from tests.listener.shop import Shop

WATCHDOG_SECONDS = 2.0
WATCHED = {"WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
PING = "WATCHDOG=1"


def assert_is_fed_for(hearing: Ear, seconds: float) -> None:
    """No gap between pings is as long as the watchdog's patience, from now on for so long."""
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began >= seconds, "the time", seconds + 30)
    times = [began, *(at for at in hearing.times(PING) if at >= began), time.monotonic()]
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) < WATCHDOG_SECONDS, gaps


def test_ready_comes_after_listening_and_a_claim_and_the_status_says_how_it_stands(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    working, lost = shop.tenant(), shop.tenant()
    shop.house.connection.execute("select crm_sync.pause(%s)", [working.integration])
    shop.replies(working, 3)
    shop.house.connection.execute(
        "update public.user_integrations set status = 'error' where id = %s", [lost.integration]
    )
    with ear(tmp_path) as hearing, process(tmp_path, database, NOTIFY_SOCKET=hearing.path) as running:
        eventually(lambda: "READY=1" in hearing.lines, "READY")
        assert shop.house.rows("select listening from crm_sync.daemons") == [(True,)]
        said = eventually(lambda: [each for each in hearing.statuses if ";" in each], "how it stands")[0]
        assert said.startswith("working; 2 connections, 3 rows waiting, oldest "), said
        assert said.endswith(" s; 1 connection needs a person"), said
        assert running.end() == 0
        assert hearing.lines[-2:] == ["STOPPING=1", "STATUS=stopping"]
        assert hearing.times(PING) == [], "nobody asked for it"


def test_an_idle_daemon_feeds_the_watchdog_however_long_it_would_sleep(database: str, tmp_path: Path) -> None:
    with (
        ear(tmp_path) as hearing,
        process(tmp_path, database, NOTIFY_SOCKET=hearing.path, CRM_SYNC_POLL_SECONDS="3600", **WATCHED),
    ):
        assert_is_fed_for(hearing, 2.5)
        assert len(hearing.times(PING)) < 40, "a ping is no heartbeat of a busy loop"


def test_a_daemon_whose_slots_are_all_taken_feeds_it_as_well(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    shop.configure("hubspot", timeout_seconds=20)
    shop.reply(tenant)
    shop.hubspot.faults.add(Fault(path="/contacts/batch/upsert", delay=4.0))
    with (
        ear(tmp_path) as hearing,
        process(tmp_path, database, NOTIFY_SOCKET=hearing.path, CRM_SYNC_CONCURRENCY="1", **WATCHED),
    ):
        eventually(lambda: len(shop.hubspot.faults) == 0, "a call that lasts")
        assert_is_fed_for(hearing, 2.5)
        assert shop.statuses()["processing"] == 1


def test_a_claim_that_hangs_on_a_dead_connection_starves_it(database: str, tmp_path: Path) -> None:
    with (
        relay(database) as before,
        ear(tmp_path) as hearing,
        process(tmp_path, before.url, NOTIFY_SOCKET=hearing.path, CRM_SYNC_POLL_SECONDS="0.1", **WATCHED) as running,
    ):
        eventually(lambda: len(hearing.times(PING)) > 1, "pings")
        before.deafen_all()
        deaf_at = time.monotonic()
        eventually(lambda: time.monotonic() - deaf_at > 1.5 * WATCHDOG_SECONDS, "the watchdog's patience")
        assert [at for at in hearing.times(PING) if at > deaf_at + WATCHDOG_SECONDS / 2] == []
        assert running.process.poll() is None, "systemd is who ends it"


def test_a_database_that_is_away_is_waited_for_and_nobody_is_killed(database: str, tmp_path: Path) -> None:
    settings = {"CRM_SYNC_POLL_SECONDS": "0.1", "WATCHDOG_USEC": "4000000"}
    with (
        relay(database) as before,
        ear(tmp_path) as hearing,
        process(tmp_path, before.url, NOTIFY_SOCKET=hearing.path, **settings) as running,
    ):
        before.cut()
        words = eventually(lambda: [each for each in hearing.statuses if each.startswith("waiting")], "the words")[0]
        assert words.startswith("waiting for the database since 2"), words
        assert words.endswith(" UTC")
        cut_at = time.monotonic()
        # its tries come to an end, each a sign of life; between them it rests for five seconds at most
        eventually(lambda: len([at for at in hearing.times(PING) if at > cut_at]) >= 2, "pings")
        before.mend()
        eventually(lambda: hearing.statuses[-1].startswith("working"), "work again")
        assert hearing.lines.count("READY=1") == 1
        assert running.process.poll() is None


def test_a_start_that_waits_for_its_database_says_so_and_asks_for_time(tmp_path: Path) -> None:
    with ear(tmp_path) as hearing:
        changes = {"NOTIFY_SOCKET": hearing.path, "CRM_SYNC_CONNECT_TIMEOUT_SECONDS": "1", **WATCHED}
        running = Process(tmp_path, environment("postgresql://x@127.0.0.1:1/x", **changes))
        assert running.process.wait(30) == 69
    assert hearing.statuses[0].startswith("waiting for the database since ")
    assert hearing.lines.count("EXTEND_TIMEOUT_USEC=120000000") == 1
    assert hearing.statuses[-1].startswith("the database cannot be reached: ")
    assert hearing.times(PING) == []


def test_nobody_who_listens_badly_holds_up_the_work(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(os.fspath(tmp_path / "notify"))
        changes = {"NOTIFY_SOCKET": os.fspath(tmp_path / "notify"), "WATCHDOG_USEC": "8000"}
        with process(tmp_path, database, **changes) as running:
            eventually(lambda: running.events("notify_dropped"), "a full queue")
            shop.reply(tenant)
            shop.wait_until_settled()
            assert running.end() == 0


def test_instances_work_side_by_side(shop: Shop, database: str, tmp_path: Path) -> None:
    tenants = [shop.tenant() for _ in range(4)]
    with ear(tmp_path, "1") as first, ear(tmp_path, "2") as second:
        settings = {"CRM_SYNC_BATCH_SIZE": "5", "CRM_SYNC_CONCURRENCY": "1"}
        with (
            process(tmp_path, database, NOTIFY_SOCKET=first.path, **settings, **WATCHED) as one,
            process(tmp_path, database, NOTIFY_SOCKET=second.path, **settings, **WATCHED) as other,
        ):
            eventually(lambda: all("READY=1" in hearing.lines for hearing in (first, second)), "both at work")
            for tenant in tenants:
                shop.replies(tenant, 20)
            shop.wait_until_settled(seconds=90)
            for running in (one, other):
                assert running.events("batch_finished"), "one of them did all of it"
                assert running.end() == 0
        for hearing in (first, second):
            assert hearing.lines.count("READY=1") == hearing.lines.count("STOPPING=1") == 1
            assert hearing.times(PING)
    for tenant in tenants:
        shop.assert_exact(tenant)


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert watchdog(7, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}) == 2.0
    assert watchdog(7, {"WATCHDOG_USEC": "2000000"}) == 2.0
    assert watchdog(7, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}) is None
    assert watchdog(7, {"WATCHDOG_USEC": "soon"}) is None
    assert watchdog(7, {"WATCHDOG_USEC": "0"}) is None
    assert watchdog(7, {}) is None


def test_without_systemd_nobody_is_told_and_nothing_is_due() -> None:
    nobody = Supervisor()
    nobody.ready("working")
    nobody.waits()
    assert not nobody.is_there
    assert not nobody.is_look_due


@pytest.mark.parametrize(
    ("headline", "words"),
    [
        (Headline(0, 0, 0, None), "working; 0 connections, 0 rows waiting"),
        (Headline(12, 2, 3400, 4.2), "working; 12 connections, 3,400 rows waiting, oldest 4 s; 2 connections need a person"),  # noqa: E501
        (Headline(1, 0, 1, 200.0), "working; 1 connection, 1 row waiting, oldest 3 min"),
        (Headline(1, 0, MOST_ROWS + 1, 9000.0), "working; 1 connection, more than 20,000 rows waiting, oldest 2 h"),
        (Headline(1, 1, 5, 1e6), "working; 1 connection, 5 rows waiting, oldest 12 d; 1 connection needs a person"),
    ],
)  # fmt: skip
def test_the_words_are_short(headline: Headline, words: str) -> None:
    assert words_of(headline) == words


def test_several_hosts_are_tried_one_after_the_other(house: House, database: str, tmp_path: Path) -> None:
    login, _, rest = database.partition("@")
    place, _, name = rest.partition("/")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:1,{place}"
        url = f"{login}@{hosts}/{name}?target_session_attrs=read-write"
        assert urls_of(url)[1] == f"{login}@127.0.0.1:1/{name}?target_session_attrs=read-write"
        with process(tmp_path, url, CRM_SYNC_CONNECT_TIMEOUT_SECONDS="1") as running:
            assert house.rows("select listening from crm_sync.daemons") == [(True,)]
            assert running.end() == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:b@h:5432/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://a@[::1]:5432/d?x=1,2",
        "not a url",
    ],
)
def test_a_single_host_stays_as_it_is(url: str) -> None:
    assert urls_of(url) == [url]
