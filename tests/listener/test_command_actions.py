"""Commands that act: rehearsed, done until nothing is left, and refused in plain words."""

from __future__ import annotations

import json
import re

import pytest
from psycopg import conninfo

from tests.house import House
from tests.listener.command_scene import CONTACT, UNKNOWN
from tests.listener.daemons import ask, environment

COUNTS = {
    "open": "select count(*) from public.sync_queue where completed_at is null",
    "failed": "select count(*) from public.sync_queue where status = 'failed'",
    "skipped": "select count(*) from public.sync_queue where last_error like 'cancelled by %%'",
    "finished": "select count(*) from public.sync_queue where completed_at is not null",
    "first": "select count(*) from public.sync_queue where priority = 1 and completed_at is null",
    "paused": "select count(*) from crm_sync.lanes where paused_at is not null",
    "counted": "select coalesce(sum(synced), 0) from crm_sync.counters",
}


def counts(house: House) -> dict[str, int]:
    return {name: int(house.value(query)) for name, query in COUNTS.items()}


@pytest.mark.parametrize(
    ("given", "changed", "said"),
    [
        (("retry",), {"open": 8, "failed": 0, "finished": 9}, "failed rows put back: 5"),
        (
            ("retry", "1", "--cause", "INVALID_OPTION", "--since", "2h"),
            {"open": 8, "failed": 0, "finished": 9},
            "failed rows put back: 5",
        ),
        (("retry", "--cause", "nonsense"), {}, "failed rows put back: 0"),
        (
            ("cancel", "1", "--contact", "waits1@example.com", "--reason", "asked us"),
            {"open": 2, "skipped": 1, "finished": 15},
            "waiting rows given up: 1",
        ),
        (
            ("cancel", "1", "--row", "waits0@example.com", "--row", "failed0@example.com"),
            {"open": 2, "failed": 4, "skipped": 2, "finished": 15},
            "waiting rows given up: 2",
        ),
        (("cancel", "1", "--all", "--yes"), {"open": 0, "skipped": 3, "finished": 17}, "waiting rows given up: 3"),
        (("pause", "--integration", "1"), {"paused": 1}, "connections paused: 1"),
        (("pause", "--provider", "hubspot", "--reason", "maintenance"), {"paused": 1}, "connections paused: 1"),
        (("pause", "--everything", "--yes"), {"paused": 1}, "connections paused: 1"),
        (
            ("reprioritize", "1", "--contact", "waits1@example.com"),
            {"first": 1},
            "waiting rows that have priority 1 now: 1",
        ),
        (("reprioritize", "1", "--integration", "1"), {"first": 3}, "waiting rows that have priority 1 now: 3"),
        (("resync", "c1@example.com"), {"open": 4}, "rows enqueued: 1"),
        (("purge", "--older-than", "0s", "--yes"), {"failed": 0, "finished": 0}, "finished rows deleted: 14"),
        (("reset-counters", "1"), {"counted": 0}, "connections that count anew: 1"),
        (("backfill", "1"), {"open": 6}, "contacts enqueued: 3, skipped: 11"),
        (("backfill", "1", "--page", "1"), {"open": 6}, "contacts enqueued: 3, skipped: 11"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_action_is_rehearsed_and_done_until_nothing_is_left_and_says_how_much_it_did(
    acted: str, there: House, given: tuple[str, ...], changed: dict[str, int], said: str
) -> None:
    given = tuple(named(there, given, word) for word in given)
    before = counts(there)
    rehearsed = ask(environment(acted), *given, "--dry-run")
    assert (rehearsed.exit_code, "it was undone" in rehearsed.stdout) == (0, True), rehearsed.output
    assert counts(there) == before
    done = ask(environment(acted), *given)
    assert (done.exit_code, done.stdout.strip()) == (0, said), done.output
    assert counts(there) == {**before, **changed}
    (figures,) = map(json.loads, ask(environment(acted), *given, "--json").stdout.splitlines())
    assert set(figures) - {"dry_run"}


def test_what_waits_for_later_goes_now_call_by_call(acted: str, there: House) -> None:
    there.connection.execute(
        "update public.sync_queue set next_attempt_at = now() + interval '1 hour' where completed_at is null"
    )
    late = "select count(*) from public.sync_queue where next_attempt_at is not null"
    rehearsed = ask(environment(acted), "sync-now", "1", "--dry-run")
    assert rehearsed.stdout.strip() == "rows brought forward: 2 at least; it was undone, as --dry-run asks"
    assert there.value(late) == 3
    done = ask(environment(acted), "sync-now", "1", "--json")
    assert json.loads(done.stdout) == {"brought_forward": 3, "dry_run": False}
    assert there.value(late) == 0


def test_a_person_is_asked_about_and_erased_from_the_shell(acted: str, there: House) -> None:
    environ = environment(acted)
    contact = str(there.value("select id from public.contacts where email = 'failed0@example.com'"))
    assert "public.sync_queue" in ask(environ, "personal-data", contact, "--thorough").stdout
    assert ask(environ, "erase-contact", contact).exit_code == 2  # nobody who could say yes
    rehearsed = ask(environ, "erase-contact", contact, "--in-crm", "--dry-run")
    assert (rehearsed.exit_code, "it was undone" in rehearsed.stdout) == (0, True), rehearsed.output
    assert there.value("select count(*) from crm_sync.erasures") == 0
    done = ask(environ, "erase-contact", contact, "--reason", "asked us", "--yes", "--json")
    removed = {row["what"]: row["rows"] for row in map(json.loads, done.stdout.splitlines())}
    assert removed["public.sync_queue"] == 1
    (row,) = map(json.loads, ask(environ, "personal-data", contact, "--json").stdout.splitlines())
    assert row["what"] == "crm_sync.erasures"
    assert ask(environ, "lift-erasure", contact).stdout == "it may be sent again\n"
    assert ask(environ, "lift-erasure", contact).exit_code == 1
    assert ask(environ, "personal-data", UNKNOWN).exit_code == 1


def named(house: House, given: tuple[str, ...], word: str) -> str:
    """The contact or the row of an e-mail address; other words as they are."""
    if "@" not in word:
        return word
    if "--row" in given:
        query = "select q.id from sync_queue as q join contacts as c on c.id = q.contact_id where c.email = %s and q.integration_id = 1"  # noqa: E501
        return str(house.value(query, word))
    return str(house.value("select id from public.contacts where email = %s", word))


def test_what_is_paused_twice_goes_on_when_both_let_it_and_says_who_holds_it(acted: str, there: House) -> None:
    assert ask(environment(acted), "pause", "--provider", "hubspot", "--reason", "maintenance").exit_code == 0
    again = ask(environment(acted), "pause", "--provider", "hubspot")
    assert (again.exit_code, again.stdout) == (0, "connections paused: 0\n")
    assert re.search(r"paused already, by \w+ since [-\d]+ [:\d]+ UTC: maintenance\n", again.stderr)
    assert ask(environment(acted), "pause", "--everything", "--yes").exit_code == 0
    held = ask(environment(acted), "resume", "--provider", "hubspot")
    assert (held.stdout, "1 connection(s) stay paused" in held.stderr) == ("connections resumed: 0\n", True)
    assert ask(environment(acted), "resume", "--everything").stdout == "connections resumed: 1\n"
    assert counts(there)["paused"] == 0


def test_what_fails_again_meanwhile_is_not_put_back_again(acted: str, there: House) -> None:
    """A row that fails in the moment in which it is put back: that would never end."""
    there.connection.execute(
        "create function public.fail_again() returns trigger language plpgsql as $$ begin "
        "  if old.completed_at is not null and new.completed_at is null then "
        "    new.status := 'failed'; new.completed_at := clock_timestamp(); new.failure := old.failure; "
        "    new.last_error := old.last_error; "
        "  end if; return new; end $$; "
        "create trigger zz_again before update on public.sync_queue for each row execute function public.fail_again()"
    )
    done = ask(environment(acted), "retry", "1")
    assert (done.exit_code, done.stdout) == (0, "failed rows put back: 5\n")


def test_an_alert_is_acknowledged_once(acted: str, there: House) -> None:
    there.connection.execute("update public.user_integrations set status = 'error'")
    there.connection.execute("select crm_sync.check_alerts()")
    alert = next(
        row["id"]
        for row in map(json.loads, ask(environment(acted), "alerts", "--json").stdout.splitlines())
        if row["rule"] == "connection_lost"
    )
    assert ask(environment(acted), "acknowledge", str(alert), "--note", "I call them").stdout == "acknowledged\n"
    assert "somebody has acknowledged it" in ask(environment(acted), "acknowledge", str(alert)).stdout
    assert ask(environment(acted), "acknowledge", "999").exit_code == 1
    assert there.value("select note from crm_sync.alerts where id = %s", alert) == "I call them"


@pytest.mark.parametrize(
    "given", [("cancel", "1", "--all"), ("pause", "--everything"), ("purge", "--older-than", "90d")], ids=" ".join
)
def test_what_cannot_be_undone_needs_a_persons_yes(
    acted: str, there: House, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(there)
    done = ask(environment(acted), *given)
    assert (done.exit_code, "give --yes" in done.stderr) == (2, True)
    monkeypatch.setattr(
        "listener.commands.options.sys", type("Sys", (), {"stdin": type("In", (), {"isatty": lambda: True})})
    )
    done = ask(environment(acted), *given)
    assert done.exit_code == 1
    assert counts(there) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [("1d", "1 day"), ("36h", "1 day and 12 hours"), ("90d", "90 days"), ("26w", "182 days"), ("0s", "0 seconds")],
)
def test_a_purge_says_of_what_in_plain_words(given: str, words: str) -> None:
    done = ask(environment("postgresql://nobody@127.0.0.1:1/nothing"), "purge", "--older-than", given)
    assert done.exit_code == 2
    assert f"Finished rows that ended more than {words} ago are deleted" in done.stderr
    assert "what failed, which cannot be retried then" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        ("cancel", "7"),
        ("cancel", "7", "--all", "--contact", CONTACT),
        ("pause",),
        ("pause", "--everything", "--integration", "7"),
        ("resume", "--provider", "hubspot", "--organization", CONTACT),
        ("reprioritize", "1"),
        ("reprioritize", "11", "--integration", "7"),
        ("backfill", "7", "--filter", "[]"),
        ("purge", "--older-than", "soon", "--yes"),
        ("purge", "--older-than", "999999999w", "--yes"),
        ("retry", "seven"),
        ("explain", "7"),
    ],
    ids=" ".join,
)
def test_nonsense_is_refused_before_anything_is_asked_of_the_database(given: tuple[str, ...]) -> None:
    done = ask(environment("postgresql://nobody@127.0.0.1:1/nothing"), *given)
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_the_database_refuses_is_said_with_what_to_do(acme: str) -> None:
    done = ask(environment(acme), "retry", "--cause", " ")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("crm-sync: the cause is blank\nGive a text of the error")
    for given in (("backfill", "99"), ("cancel", "99", "--all", "--yes"), ("pause", "--provider", "nonsense")):
        done = ask(environment(acme), *given)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 2), done.output


def test_an_action_on_a_replica_says_where_to_act(acme: str) -> None:
    url = conninfo.make_conninfo(acme, options="-c default_transaction_read_only=on")
    done = ask({**environment(None), "DATABASE_URL": url}, "retry")
    assert (done.exit_code, "primary" in done.stderr) == (78, True)
