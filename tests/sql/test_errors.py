"""`crm_sync.errors`: what a code means, who must act and what to run; and that a code nobody knows is seen."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import psycopg
import pytest

from console.pages.failures import ACTORS, remedy_of
from listener.cli import main
from providers import salesforce_codes
from providers.codes import OwnCode
from providers.errors import ProviderError
from sql.migrate import ROOT
from tests.house import House
from tests.sql.daemon import Daemon

pytestmark = pytest.mark.usefixtures("rolled_back")

# Commands that remedies may name before they are there.
COMMANDS = {"retry", "pause", "resume", "connect", "diagnose", "explain", "resync", "config", "rotate-key"}
COMMANDS |= {"claim-database", "migrate", "run", "status"}


def meaning(house: House, provider: str, kind: str, code: str | None) -> tuple[Any, ...]:
    (row,) = house.rows("select * from crm_sync.failure_meaning(%s, %s, %s)", provider, kind, code)
    return row


def apply_again(house: House, change: tuple[str, str] = ("", "")) -> None:
    """Apply sql/errors.sql, as the migrator does when it has changed."""
    house.connection.execute((ROOT / "errors.sql").read_text().replace(*change).encode())


def test_there_are_more_than_a_hundred_and_each_says_what_it_is_and_what_to_do(house: House) -> None:
    rows = house.rows("select code, meaning, remedy, source, is_shipped from crm_sync.errors")
    assert len(rows) > 200
    assert [code for code, *_, is_shipped in rows if not is_shipped] == []
    assert [code for code, meaning, *_ in rows if len(meaning) < 15 or meaning.endswith(".")] == []
    assert [code for code, _, remedy, *_ in rows if not remedy.endswith(".") or "{" in remedy] == []
    for provider in ("hubspot", "salesforce", "pipedrive"):
        assert house.value("select count(*) from crm_sync.errors where provider = %s", provider) > 30


def test_every_function_and_command_that_a_remedy_names_is_there(house: House) -> None:
    functions = {
        name for (name,) in house.rows("select proname from pg_proc where pronamespace = 'crm_sync'::regnamespace")
    }
    tables = {
        name for (name,) in house.rows("select relname from pg_class where relnamespace = 'crm_sync'::regnamespace")
    }
    for code, remedy in house.rows("select code, remedy from crm_sync.errors"):
        assert set(re.findall(r"crm_sync\.(\w+)\(", remedy)) <= functions, code
        assert set(re.findall(r"crm_sync\.(\w+)\b(?!\()", remedy)) <= tables, code
        assert set(re.findall(r"crm-sync ([a-z-]+)", remedy)) <= COMMANDS | set(main.commands), code


def test_people_with_buttons_are_told_neither_functions_nor_commands(house: House) -> None:
    for code, remedy in house.rows("select code, remedy from crm_sync.errors"):
        plain = remedy_of({"remedy": remedy})
        assert re.search(r"crm[_-]sync|field_mappings|sync_settings|allowed_values", plain) is None, (code, plain)


def test_every_code_of_ours_has_a_row(house: House) -> None:
    known = {code for (code,) in house.rows("select code from crm_sync.errors")}
    assert {code.value for code in OwnCode} <= known
    assert {kind.unnamed for kind in ProviderError.__subclasses__()} <= known


def test_every_code_that_salesforce_is_judged_by_has_a_row(house: House) -> None:
    codes = {
        *salesforce_codes.BUSY,
        *salesforce_codes.DOWN,
        *salesforce_codes.LIMITED,
        *salesforce_codes.FOR_PEOPLE,
        *salesforce_codes.GONE,
        salesforce_codes.CONVERTED,
    }
    known = {code for (code,) in house.rows("select code from crm_sync.errors where provider = 'salesforce'")}
    assert codes - known == set()


@pytest.mark.parametrize(
    ("provider", "kind", "code", "words", "who"),
    [
        ("hubspot", "unauthorized", "BAD_REFRESH_TOKEN", "uninstalled the app", "connection_owner"),
        ("salesforce", "unavailable", "TIMEOUT", "no answer came", "nobody"),
        ("pipedrive", "unavailable", "HTTP_599", "is down", "nobody"),
        ("pipedrive", "bug", "HTTP_418", "does not know", "developer"),
        ("salesforce", "rejected", "CANNOT_UPDATE_THE_MOON", "may not do this", "crm_admin"),
        ("hubspot", "rejected", "DUPLICATE_SOMETHING", "holds this record already", "crm_admin"),
        ("hubspot", "connection", "other_account", "another account", "operator"),
        ("hubspot", "mapping", None, "leads to what", "connection_owner"),
    ],
)
def test_a_code_is_found_by_itself_by_its_crm_or_by_how_it_begins(
    house: House, provider: str, kind: str, code: str | None, words: str, who: str
) -> None:
    says, remedy, acts, is_known = meaning(house, provider, kind, code)
    assert words in says
    assert (acts, is_known, remedy != "") == (who, True, True)


def test_a_crms_own_row_comes_before_the_common_one(house: House) -> None:
    assert "Pipedrive" in meaning(house, "pipedrive", "unavailable", "HTTP_503")[0]
    assert meaning(house, "pipedrive", "unauthorized", "HTTP_401") != meaning(house, "toy", "unauthorized", "HTTP_401")
    own = "insert into crm_sync.errors (provider, code, kind, meaning, who_must_act, remedy) "
    house.connection.execute(
        (own + "values ('toy', 'HTTP_5*', 'unavailable', 'the toy is broken', 'crm_vendor', 'Buy one.')").encode()
    )
    assert meaning(house, "toy", "unavailable", "HTTP_503") == ("the toy is broken", "Buy one.", "crm_vendor", True)


def test_a_code_that_nobody_knows_says_so_and_shows_in_a_view_of_its_own(
    house: House, daemon: Daemon, organization: UUID, integration: int, row: UUID
) -> None:
    daemon.fail(daemon.claim(), "rejected", "brand new trouble", code="BRAND_NEW")
    with house.as_role("crm_sync_reader") as connection:
        seen = connection.execute("select code, is_known, who_must_act, meaning from crm_sync.failures").fetchall()
        unknown = connection.execute(
            "select provider, code, kind, count, example, last_at is not null, example_queue_id is not null "
            "from crm_sync.unknown_errors"
        ).fetchall()
    ((code, is_known, who, says),) = seen
    assert (code, is_known, who) == ("BRAND_NEW", False, "operator")
    assert says.startswith("this version does not know the code BRAND_NEW; it is treated as rejected: ")
    assert unknown == [("hubspot", "BRAND_NEW", "rejected", 1, "brand new trouble", True, True)]
    house.connection.execute(
        "insert into crm_sync.errors (provider, code, kind, meaning, who_must_act, remedy) "
        "values ('hubspot', 'BRAND_NEW', 'rejected', 'we know it now', 'data_owner', 'Ask Ada.')"
    )
    with house.as_role("authenticated", house.user(organization)) as connection:
        assert connection.execute("select meaning, is_known from crm_sync.failures").fetchall() == [
            ("we know it now", True)
        ]
        assert connection.execute("select * from crm_sync.unknown_errors").fetchall() == []


def test_members_and_readers_see_the_registry_and_change_nothing_in_it(house: House, organization: UUID) -> None:
    for role, user in (("authenticated", house.user(organization)), ("crm_sync_reader", None)):
        with house.as_role(role, user) as connection:
            assert connection.execute("select count(*) > 200 from crm_sync.errors").fetchone() == (True,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("update crm_sync.errors set own_remedy = 'x'")


def test_an_installations_own_words_outlive_an_update(house: House) -> None:
    house.connection.execute(
        "update crm_sync.errors set own_remedy = 'Call Ada.', own_who_must_act = 'operator' "
        "where code = 'INVALID_EMAIL'"
    )
    house.connection.execute(
        "insert into crm_sync.errors (provider, code, kind, meaning, who_must_act, remedy) "
        "values ('hubspot', 'NEXT_YEAR', 'rejected', 'our own words', 'data_owner', 'Ask Ada.')"
    )
    apply_again(house, ("'HubSpot does not take this e-mail address'", "'better words'"))
    assert meaning(house, "hubspot", "rejected", "INVALID_EMAIL") == ("better words", "Call Ada.", "operator", True)
    assert meaning(house, "hubspot", "rejected", "NEXT_YEAR")[0] == "our own words"
    # the version after that ships it: what was said here goes on being said
    apply_again(house, ("('hubspot', 'INVALID_EMAIL',", "('hubspot', 'NEXT_YEAR',"))
    says, remedy, *_ = meaning(house, "hubspot", "rejected", "NEXT_YEAR")
    assert (says, remedy) == ("our own words", "Ask Ada.")
    kept = "select is_shipped, meaning, remedy, own_remedy from crm_sync.errors where code = 'INVALID_EMAIL'"
    assert house.rows(kept) == [(False, "better words", "Call Ada.", None)]


def test_what_is_no_longer_shipped_goes(house: House) -> None:
    apply_again(house, ("('hubspot', 'INVALID_EMAIL',", "('hubspot', 'INVALID_EMAILS',"))
    codes = [code for (code,) in house.rows("select code from crm_sync.errors where code like 'INVALID_EMAIL%%'")]
    assert sorted(codes) == ["INVALID_EMAILS", "INVALID_EMAIL_ADDRESS"]
    apply_again(house)
    assert house.value("select count(*) from crm_sync.errors where code = 'INVALID_EMAIL'") == 1


def test_nonsense_is_refused(house: House) -> None:
    for change in ("who_must_act = 'somebody'", "kind = 'strange'", "status = 7", "own_who_must_act = 'x'"):
        with pytest.raises(psycopg.errors.CheckViolation), house.connection.transaction():
            house.connection.execute(f"update crm_sync.errors set {change} where code = 'INVALID_EMAIL'".encode())


def test_everybody_who_must_act_has_words_for_people(house: House) -> None:
    assert {who for (who,) in house.rows("select distinct who_must_act from crm_sync.errors")} <= set(ACTORS)
    (rule,) = house.rows("select pg_get_constraintdef(oid) from pg_constraint where conname = 'errors_somebody_acts'")
    assert set(re.findall(r"'(\w+)'", rule[0])) == set(ACTORS)


def test_asking_what_ten_thousand_causes_mean_takes_no_time(house: House) -> None:
    query = (
        "explain (analyze, format json) select m.* from generate_series(1, 10000) as g (n) cross join lateral "
        "crm_sync.failure_meaning('hubspot', 'rejected', case when g.n < 5000 then 'INVALID_OPTION' "
        "else 'NEW' || g.n end) as m"
    )
    row = house.connection.execute(query.encode()).fetchone()
    assert row is not None
    print(row[0][0]["Execution Time"], "ms")
    assert row[0][0]["Execution Time"] < 2_000


def test_a_remedy_fits_what_becomes_of_the_rows(house: House) -> None:
    """Rows that were refused have failed, those of a lost connection are parked, the others are tried again."""
    for provider, code, kind, remedy in house.rows("select provider, code, kind, remedy from crm_sync.errors"):
        needs = {
            "rejected": r"crm_sync\.retry_failed\(\)",
            "bug": r"crm_sync\.retry_failed\(\)",
            "unauthorized": r"crm_sync\.try_again\(\)|crm-sync connect",
            "connection": r"crm_sync\.try_again\(\)|crm-sync connect",
        }.get(kind, r"by (?:itself|themselves)|crm_sync\.retry_failed\(\)|allowed_values")
        assert re.search(needs, remedy), (provider, code, remedy)
        assert kind != "rejected" or "tried again by itself" not in remedy, (provider, code, remedy)
