"""Server-sent events: who is told, how soon, how often the database is asked, and when a stream ends."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from uuid import UUID

import pytest

from console import queries_dashboard, streams
from console.db import Session
from console.identity import Identity
from console.streams import Streams
from tests.console.conftest import Member, member_of
from tests.console.visitor import Stage
from tests.house import House

SECONDS = 30.0


def identity_of(user: UUID, seconds: float = 3600) -> Identity:
    expires_at = time.time() + seconds
    claims = {"sub": str(user), "role": "authenticated", "exp": expires_at}
    return Identity(str(user), None, json.dumps(claims), by_header=False, expires_at=expires_at)


class Page:
    """An open page: what it was told, in order."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source

    async def next(self) -> tuple[str, str]:
        """The next event, past the heartbeats."""
        async with asyncio.timeout(SECONDS):
            async for text in self._source:
                if text.startswith(b"event: "):
                    name, data = text.decode().strip().split("\n")
                    return name.removeprefix("event: "), data.removeprefix("data:").strip()
        return "end", ""


@asynccontextmanager
async def page(console: Stage, user: UUID, seconds: float = 3600, seen: str | None = None) -> AsyncIterator[Page]:
    source = console.console.streams.follow(console.console.members, identity_of(user, seconds), seen)
    async with aclosing(source):
        opened = Page(source)
        yield opened


async def settle(console: Stage, user: UUID) -> None:
    """Until the first look was taken: what happens from now on is news."""
    async with asyncio.timeout(SECONDS):
        while console.console.streams._watches[str(user)].seen is None:
            await asyncio.sleep(0.01)


async def test_a_page_hears_of_what_changed_between_its_making_and_its_stream(
    console: Stage, house: House, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.1)
    house.integration(ada.organization)
    contact = house.contact(ada.organization)
    shown = (await ada.browser.get(f"/contacts/{contact}")).text
    found = re.search(r'data-events="/events\?seen=(\w+)"', shown)
    assert found is not None
    seen = found[1]
    async with page(console, ada.user, seen=seen) as first:
        assert await first.next() == ("ready", "")
        await settle(console, ada.user)
        house.reply(ada.organization, contact)
        assert await first.next() == ("changed", "")
        # whether its user has other pages open or not
        async with page(console, ada.user, seen=seen) as second:
            assert [await second.next(), await second.next()] == [("ready", ""), ("changed", "")]
    async with page(console, ada.user, seen=seen) as third:
        assert [await third.next(), await third.next()] == [("ready", ""), ("changed", "")]


async def test_an_open_page_hears_of_a_reply_within_moments_and_of_others_replies_never(
    console: Stage, house: House, ada: Member, eve: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.1)
    house.integration(ada.organization)
    contact = house.contact(ada.organization)
    async with page(console, ada.user) as hers, page(console, eve.user) as evil:
        assert await hers.next() == await evil.next() == ("ready", "")
        await settle(console, ada.user)
        await settle(console, eve.user)
        listening = asyncio.create_task(evil.next())
        house.reply(ada.organization, contact, "x")
        assert await hers.next() == ("changed", "")
        house.reply(ada.organization, contact, "x")
        assert await hers.next() == ("changed", "")
        assert not listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_many_pages_of_one_user_are_one_question_to_the_database(
    console: Stage, house: House, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.1)
    asked = 0
    pulse = queries_dashboard.pulse

    async def counted(session: Session) -> str | None:
        nonlocal asked
        asked += 1
        return await pulse(session)

    monkeypatch.setattr(queries_dashboard, "pulse", counted)
    house.integration(ada.organization)
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(page(console, ada.user)) for _ in range(10)]
        for each in pages:
            assert await each.next() == ("ready", "")
        await settle(console, ada.user)
        before, since = asked, time.monotonic()
        house.reply(ada.organization, house.contact(ada.organization), "x")
        for each in pages:
            assert await each.next() == ("changed", "")
        assert asked - before <= 2 + (time.monotonic() - since) / streams.POLL_SECONDS
        assert console.console.streams.count == 10
    assert console.console.streams.count == 0
    assert not console.console.streams._watches


async def test_a_stream_ends_with_the_sign_in(console: Stage, ada: Member) -> None:
    async with page(console, ada.user, seconds=0.5) as hers:
        assert await hers.next() == ("ready", "")
        assert await hers.next() == ("closed", "expired")
        assert await hers.next() == ("end", "")


async def test_a_stream_ends_with_the_membership(
    console: Stage, house: House, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.1)
    async with page(console, ada.user) as hers:
        assert await hers.next() == ("ready", "")
        await settle(console, ada.user)
        house.connection.execute("delete from public.users where id = %s", [ada.user])
        assert await hers.next() == ("closed", "no_membership")


async def test_streams_are_bounded_for_one_user_and_for_all(
    console: Stage, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS_OF_ONE", 2)
    monkeypatch.setattr(streams, "MOST_STREAMS", 3)
    others = [member_of(console, name).user for name in ("Other", "Another")]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            assert await (await stack.enter_async_context(page(console, ada.user))).next() == ("ready", "")
        assert await (await stack.enter_async_context(page(console, ada.user))).next() == ("closed", "full")
        assert await (await stack.enter_async_context(page(console, others[0]))).next() == ("ready", "")
        assert await (await stack.enter_async_context(page(console, others[1]))).next() == ("closed", "full")
    async with page(console, ada.user) as again:
        assert await again.next() == ("ready", "")


async def test_a_console_that_stops_ends_its_streams_at_once(console: Stage, ada: Member) -> None:
    async with page(console, ada.user) as hers:
        assert await hers.next() == ("ready", "")
        console.console.streams.close()
        assert await hers.next() == ("closed", "stopping")
        async with page(console, ada.user) as late:
            assert await late.next() == ("closed", "full")


async def test_the_stream_is_for_those_who_are_signed_in_and_kept_by_nobody(console: Stage, ada: Member) -> None:
    nobody = await console.browser().get("/events", headers={"accept": "text/event-stream"})
    assert nobody.status_code == 303
    console.console.streams.close()
    answer = await console.browser().get("/events", headers=console.bearer(ada.user))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == "event: closed\ndata: full\n\n"


async def test_trouble_with_the_database_ends_no_stream(
    console: Stage, house: House, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(streams, "TROUBLE_SECONDS", 0.05)
    house.integration(ada.organization)
    async with page(console, ada.user) as hers:
        assert await hers.next() == ("ready", "")
        await settle(console, ada.user)
        house.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name like 'crm-sync console%%' and pid <> pg_backend_pid()"
        )
        house.reply(ada.organization, house.contact(ada.organization), "x")
        assert await hers.next() == ("changed", "")


async def test_a_fault_of_ours_ends_no_stream(
    console: Stage, house: House, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(streams, "TROUBLE_SECONDS", 0.05)
    asked, faults = queries_dashboard.pulse, iter([ZeroDivisionError("ours")])

    async def pulse(session: Session) -> str | None:
        if streams_are_settled and (fault := next(faults, None)):
            raise fault
        return await asked(session)

    streams_are_settled = False
    monkeypatch.setattr(queries_dashboard, "pulse", pulse)
    house.integration(ada.organization)
    async with page(console, ada.user) as hers:
        assert await hers.next() == ("ready", "")
        await settle(console, ada.user)
        streams_are_settled = True
        house.reply(ada.organization, house.contact(ada.organization), "x")
        assert await hers.next() == ("changed", "")
        assert next(faults, None) is None


def test_an_event_is_written_as_browsers_read_it() -> None:
    assert streams.event("changed") == b"event: changed\ndata: \n\n"
    assert Streams().count == 0
