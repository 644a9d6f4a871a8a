"""Who is stuck behind whom."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest

from tests.house import House, eventually
from tests.sql.daemon import Daemon, connect, people, somebody_waits

Row = dict[str, Any]


def stuck(house: House, user: UUID | None = None) -> list[Row]:
    with house.as_role("authenticated" if user else "crm_sync_reader", user) as connection:
        cursor = connection.execute("select * from crm_sync.stuck order by integration_id, waits_for, queue_id")
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.usefixtures("rolled_back")
class TestOneSession:
    """What needs no second session."""

    def test_nothing_is_stuck_where_work_flows(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        people(house, organization, 3)
        daemon.be_alive()
        assert stuck(house) == []
        daemon.claim()
        assert stuck(house) == []
        assert integration

    def test_a_connection_that_stands_still_is_one_line_with_all_that_waits(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        contacts = people(house, organization, 3)
        (row,) = stuck(house)
        assert (row["waits_for"], row["reason"], row["rows_behind"]) == ("the connection", "no daemon is running", 3)
        assert (row["contact_id"], row["provider"], row["organization_id"]) == (contacts[0], "hubspot", organization)
        daemon.be_alive()
        daemon.fail(daemon.claim(), "unavailable", "it is down", retry_after=60)
        (row,) = stuck(house)
        assert (row["reason"], row["rows_behind"]) == ("it is down", 3)
        assert row["until"] == house.value("select parked_until from crm_sync.lanes")
        house.value("select crm_sync.pause(%s)", integration)
        (row,) = stuck(house)
        assert row["reason"].startswith("the connection is paused by ")
        assert row["since"] == house.value("select paused_at from crm_sync.lanes")

    def test_a_row_behind_one_of_its_contact_names_it_and_the_daemon(
        self, house: House, daemon: Daemon, organization: UUID, integration: int, row: UUID
    ) -> None:
        daemon.be_alive()
        batch = daemon.claim()
        house.reply(organization, row, "x")
        house.reply(organization, row, "x")
        (line,) = stuck(house)
        assert (line["waits_for"], line["contact_id"]) == ("a row of its contact", row)
        assert (line["blocking_queue_id"], line["blocking_worker"]) == (batch["contacts"][0]["rows"][0], daemon.id)
        assert (line["rows_behind"], line["integration_id"]) == (2, integration)

    def test_a_daemon_that_vanished_holds_its_rows_until_its_lease_ends(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        people(house, organization, 2)
        daemon.claim()
        Daemon(house).be_alive()
        (line,) = stuck(house)
        assert (line["waits_for"], line["blocking_worker"], line["rows_behind"]) == ("a lease", daemon.id, 2)
        assert line["until"] == house.value("select lease_until from crm_sync.batches")
        assert line["reason"].startswith("its daemon is gone")
        daemon.be_alive()
        assert stuck(house) == []
        assert integration

    def test_what_waits_for_its_time_says_until_when(self, house: House, daemon: Daemon, organization: UUID) -> None:
        hourly = house.integration(organization, sync_frequency="hourly")
        hubspot = house.integration(organization, "pipedrive")
        people(house, organization, 1)
        daemon.be_alive()
        daemon.fail(daemon.claim(integration=hubspot), "contended", "busy")
        slot, retry = stuck(house)
        assert (slot["waits_for"], slot["integration_id"]) == ("the next slot", hourly)
        assert slot["until"] == house.value(
            "select next_attempt_at from public.sync_queue where integration_id = %s", hourly
        )
        assert (retry["waits_for"], retry["reason"], retry["integration_id"]) == ("its next attempt", "busy", hubspot)

    def test_members_see_their_own_connections(self, house: House, organization: UUID, integration: int) -> None:
        people(house, organization, 1)
        member = house.user(organization)
        stranger = house.user(house.organization("Other"), "o@example.com")
        assert [line["integration_id"] for line in stuck(house, member)] == [integration]
        assert stuck(house, stranger) == []


@pytest.mark.usefixtures("integration")
def test_a_session_that_holds_up_another_is_named(house: House, organization: UUID, database: str) -> None:
    with connect(database) as holder, connect(database) as waiter:
        holder.autocommit = False
        holder.execute("select from crm_sync.lanes for update")
        # not one of our own functions: none of them waits longer than a tenth of a second here
        waiting = threading.Thread(target=waiter.execute, args=["select from crm_sync.lanes for update"])
        waiting.start()
        eventually(lambda: somebody_waits(house), "a session that waits")
        (line,) = [each for each in stuck(house) if each["integration_id"] is None]
        assert line["waits_for"] == f"session {holder.info.backend_pid}"
        assert line["reason"] == (
            f"session {waiter.info.backend_pid} waits for a lock on crm_sync.lanes "
            f"that session {holder.info.backend_pid} holds"
        )
        assert stuck(house, house.user(organization)) == []
        holder.rollback()
        waiting.join(15)
