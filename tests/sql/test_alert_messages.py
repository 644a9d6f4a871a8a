"""Messages about alerts wait in an outbox until a receiver has them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.alert_scene import ENDPOINT, check, deliveries, lose


@pytest.mark.usefixtures("rolled_back")
class TestTheOutbox:
    def claim(self, house: House, endpoint: str = ENDPOINT) -> tuple[Any, ...] | None:
        with house.as_role("crm_sync_daemon"):
            return next(
                iter(house.rows("select id, type, payload, attempts from crm_sync.claim_delivery(%s)", endpoint)), None
            )

    def finish(self, house: House, row: tuple[Any, ...], outcome: str, *more: Any) -> bool:
        status, reason, wait = (*more, None, None, None)[:3]
        with house.as_role("crm_sync_daemon"):
            done: bool = house.value(
                "select crm_sync.finish_delivery(%s, %s, %s, %s, %s, %s, %s)",
                *(ENDPOINT, row[0], row[3], outcome, status, reason, wait),
            )
        return done

    def test_without_a_webhook_no_message_is_queued(self, house: House, integration: int) -> None:
        lose(house, integration)
        check(house)
        assert deliveries(house) == []

    def test_a_message_says_what_is_wrong_and_what_to_do(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        assert self.claim(house) is None
        lose(house, integration)
        check(house)
        lose(house, integration, "connected")
        check(house)
        raised, cleared = (payload for _, payload in sorted(deliveries(house), reverse=True))
        assert [raised["type"], cleared["type"]] == ["alert.raised", "alert.cleared"]
        assert set(raised) == {"type", "timestamp", "data"}
        assert raised["timestamp"].endswith("Z")
        data = raised["data"]
        assert (data["rule"], data["severity"], data["provider"]) == ("connection_lost", "critical", "hubspot")
        assert (data["organization_id"], data["integration_id"]) == (str(organization), integration)
        assert "connects it again" in data["remedy"]
        assert data["cleared_at"] is None
        assert cleared["data"]["cleared_at"].endswith("Z")
        assert cleared["data"]["alert_id"] == data["alert_id"]

    def test_a_message_is_one_claimant_s_until_he_may_be_gone(self, house: House, integration: int) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        first = self.claim(house)
        assert first is not None
        assert json.loads(first[2])["type"] == first[1] == "alert.raised"
        assert self.claim(house) is None
        house.connection.execute("update crm_sync.deliveries set next_attempt_at = now()")
        second = self.claim(house)
        assert second is not None
        assert (second[0], second[2], second[3]) == (first[0], first[2], 2)
        assert self.finish(house, first, "delivered") is False
        assert self.finish(house, second, "later", 500, "the receiver answered HTTP 500", 3600) is True
        assert house.rows(
            "select last_status, last_error, next_attempt_at > now() + interval '59 minutes' from crm_sync.deliveries"
        ) == [(500, "the receiver answered HTTP 500", True)]
        house.connection.execute("update crm_sync.deliveries set next_attempt_at = now()")
        third = self.claim(house)
        assert third is not None
        assert self.finish(house, third, "delivered", 204) is True
        assert self.claim(house) is None

    def test_it_is_tried_for_about_three_days_and_then_given_up(self, house: House, integration: int) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        tries = 0
        while self.claim(house) is not None:
            tries += 1
            house.connection.execute(
                "update crm_sync.deliveries set created_at = created_at - (next_attempt_at - now()), "
                "next_attempt_at = now()"
            )
            assert tries < 100
        assert 15 <= tries <= 30
        assert house.value("select given_up_at is not null from crm_sync.deliveries") is True

    def test_a_receiver_that_is_gone_gets_nothing_more_until_somebody_says_so(
        self, house: House, integration: int
    ) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        row = self.claim(house)
        assert row is not None
        self.finish(house, row, "gone", 410, "the receiver says that it is gone (HTTP 410)")
        lose(house, integration, "connected")
        check(house)
        assert self.claim(house) is None
        assert len(deliveries(house)) == 1  # of the second nothing was queued
        assert self.claim(house, "1" * 64) is None  # another URL is another receiver
        with house.as_role("crm_sync_daemon"):
            assert house.value("select crm_sync.resume_deliveries()") == 1
        again = self.claim(house)
        assert again is not None
        assert again[0] == row[0]

    @pytest.mark.parametrize("endpoint", ["https://example.com/hook", "", None])
    def test_no_url_is_ever_written_down(self, house: House, endpoint: str | None) -> None:
        with house.as_role("crm_sync_daemon"), pytest.raises(psycopg.Error) as refused, house.connection.transaction():
            house.connection.execute("select crm_sync.claim_delivery(%s)", [endpoint])
        assert refused.value.sqlstate == "CS074"
