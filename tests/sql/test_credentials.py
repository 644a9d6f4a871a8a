"""Plaintext never reaches the table, a sealed value opens only where it belongs, and no error repeats a secret."""

from __future__ import annotations

import base64
import json
import threading
from uuid import UUID

import psycopg
import pytest

from tests.house import KEY, House
from tests.sql.daemon import Daemon, connect

SECRET = "ya29.very-secret-token"
OTHER_KEY = "another-key-that-is-long-enough-0123456789-abcdef"
WRITE = "update public.user_integrations set credentials = %s where id = %s"


def use_key(house: House, key: str) -> None:
    house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [key])


def opened(house: House, integration: int) -> object:
    return Daemon(house).call("select credentials from crm_sync.open_credentials(%s)", integration)


def sealed(house: House, integration: int) -> str:
    text: str = house.value("select credentials from public.user_integrations where id = %s", integration)
    return text


def sqlstate_of(house: House, query: str, *arguments: object) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        house.connection.execute(query.encode(), arguments)
    assert SECRET not in str(error.value) + str(error.value.diag.context) + str(error.value.diag.message_detail)
    assert error.value.diag.message_hint
    return error.value.sqlstate


def test_plaintext_is_sealed_and_only_the_daemon_opens_it(house: House, organization: UUID) -> None:
    credentials = {"access_token": SECRET, "refresh_token": "r", "expires_at": 1795000000, "hub": {"id": 7}}
    integration = house.integration(organization, credentials=credentials)
    text = sealed(house, integration)
    assert SECRET not in text
    assert text.startswith(f"sealed:1:{house.value('select crm_sync.key_id(%s)', KEY)}:")
    assert base64.b64decode(text.split(":")[3], validate=True)
    assert opened(house, integration) == credentials


def test_the_same_credentials_never_look_the_same(house: House, organization: UUID) -> None:
    first, second = house.integration(organization), house.integration(organization, "pipedrive")
    assert sealed(house, first) != sealed(house, second)


def test_without_a_key_nothing_is_stored(house: House, organization: UUID, integration: int) -> None:
    before = sealed(house, integration)
    house.connection.execute("reset crm_sync.encryption_key")
    assert sqlstate_of(house, WRITE, json.dumps({"access_token": SECRET}), integration) == "CS001"
    use_key(house, "")
    assert sqlstate_of(house, WRITE, json.dumps({"access_token": SECRET}), integration) == "CS001"
    assert sqlstate_of(house, "select crm_sync.verify_key()") == "CS001"
    assert sealed(house, integration) == before


def test_a_key_of_31_characters_is_too_short_and_one_of_32_is_not(house: House, organization: UUID) -> None:
    integration = house.integration(organization)
    use_key(house, "k" * 31)
    assert sqlstate_of(house, WRITE, json.dumps({"access_token": SECRET}), integration) == "CS002"
    use_key(house, "k" * 32)
    house.connection.execute(WRITE, [json.dumps({"access_token": SECRET}), integration])
    assert opened(house, integration) == {"access_token": SECRET}


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f'{{"access_token": "{SECRET}"',
        f'["{SECRET}"]',
        f'"{SECRET}"',
        f'{{"token": "{SECRET}"}}',
        f'{{"access_token": "", "x": "{SECRET}"}}',
        f'{{"access_token": null, "x": "{SECRET}"}}',
        "",
    ],
)
def test_what_is_no_object_with_a_token_is_refused_without_repeating_it(
    house: House, organization: UUID, integration: int, text: str
) -> None:
    assert sqlstate_of(house, WRITE, text, integration) == "CS003"


def test_refreshed_tokens_that_are_no_json_are_refused_without_repeating_them(
    house: House, organization: UUID, integration: int
) -> None:
    store = "select crm_sync.store_credentials(%s, 1, %s)"
    for text in (SECRET, f'["{SECRET}"]', f'"{SECRET}"'):
        assert sqlstate_of(house, store, integration, text) == "CS003"


def test_another_key_opens_nothing_and_says_so(house: House, organization: UUID, integration: int) -> None:
    assert house.value("select crm_sync.verify_key()") == house.value("select crm_sync.key_id(%s)", KEY)
    use_key(house, OTHER_KEY)
    assert sqlstate_of(house, "select crm_sync.open_credentials(%s)", integration) == "CS004"
    assert sqlstate_of(house, "select crm_sync.verify_key()") == "CS004"


def test_a_changed_byte_opens_nothing(house: House, organization: UUID, integration: int) -> None:
    head, _, body = sealed(house, integration).rpartition(":")
    raw = bytearray(base64.b64decode(body))
    house.connection.execute("alter table public.user_integrations disable trigger crm_sync_write")
    # of each byte another bit: the packets' headers, the salt, the text and its check
    for position in range(len(raw)):
        changed = raw.copy()
        changed[position] ^= 1 << position % 8
        house.connection.execute(WRITE, [f"{head}:{base64.b64encode(changed).decode()}", integration])
        assert sqlstate_of(house, "select crm_sync.open_credentials(%s)", integration) == "CS005", position
    for cut in (raw[:-1], raw[:20], raw[1:], raw + raw):
        house.connection.execute(WRITE, [f"{head}:{base64.b64encode(cut).decode()}", integration])
        assert sqlstate_of(house, "select crm_sync.open_credentials(%s)", integration) == "CS005"


def test_a_changed_letter_before_the_sealed_part_opens_nothing(
    house: House, organization: UUID, integration: int
) -> None:
    text = sealed(house, integration)
    house.connection.execute("alter table public.user_integrations disable trigger crm_sync_write")
    for position in range(text.rindex(":")):
        changed = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
        house.connection.execute(WRITE, [changed, integration])
        assert sqlstate_of(house, "select crm_sync.open_credentials(%s)", integration) in {"CS004", "CS005"}, changed


@pytest.mark.parametrize("whose", ["another organization's", "its own organization's"])
def test_a_sealed_value_opens_on_its_own_row_only(
    house: House, organization: UUID, integration: int, whose: str
) -> None:
    other = house.integration(organization if whose.startswith("its") else house.organization("Other"), name="other")
    assert sqlstate_of(house, WRITE, sealed(house, integration), other) == "CS005"
    house.connection.execute("alter table public.user_integrations disable trigger crm_sync_write")
    house.connection.execute(WRITE, [sealed(house, integration), other])
    assert sqlstate_of(house, "select crm_sync.open_credentials(%s)", other) == "CS005"


def test_a_row_may_be_written_back_as_it_was_read(house: House, organization: UUID, integration: int) -> None:
    before = sealed(house, integration)
    house.connection.execute(WRITE, [before, integration])
    assert (sealed(house, integration), opened(house, integration)) == (before, {"access_token": "token"})


def test_whoever_may_write_the_row_can_put_back_what_it_held_before_and_its_version_with_it(
    house: House, organization: UUID, integration: int
) -> None:
    before = sealed(house, integration)
    house.connection.execute(WRITE, [json.dumps({"access_token": "newer"}), integration])
    put_back = "update public.user_integrations set credentials = %s, credentials_version = 0 where id = %s"
    house.connection.execute(put_back.encode(), [before, integration])
    assert house.value("select credentials_version from public.user_integrations where id = %s", integration) == 1
    assert opened(house, integration) == {"access_token": "token"}


def test_the_version_rises_with_each_write_and_only_then(house: House, organization: UUID, integration: int) -> None:
    version = "select credentials_version from public.user_integrations"
    assert house.value(version) == 1
    house.connection.execute("update public.user_integrations set name = 'x'")
    assert house.value(version) == 1
    house.connection.execute(WRITE, [json.dumps({"access_token": "b"}), integration])
    assert house.value(version) == 2
    house.connection.execute(WRITE, [None, integration])
    assert house.value(version) == 3, "wiped: whoever holds the old ones must notice"
    assert opened(house, integration) is None


def test_a_refresh_is_stored_once_and_keeps_what_the_crm_did_not_repeat(house: House, organization: UUID) -> None:
    integration = house.integration(organization, credentials={"access_token": "a", "refresh_token": "r", "hub": 7})
    daemon = Daemon(house)
    store = "select crm_sync.store_credentials(%s, %s, %s)"
    new = json.dumps({"access_token": "b", "refresh_token": None})
    assert daemon.call(store, integration, 1, new) == 2
    assert opened(house, integration) == {"access_token": "b", "refresh_token": "r", "hub": 7}
    assert daemon.call(store, integration, 1, json.dumps({"access_token": "stale"})) is None
    assert opened(house, integration) == {"access_token": "b", "refresh_token": "r", "hub": 7}


def test_a_refresh_is_one_daemons_at_a_time(house: House, organization: UUID, integration: int) -> None:
    begin = "select crm_sync.begin_refresh(%s, %s)"
    first, second = Daemon(house), Daemon(house)
    assert first.call(begin, integration, 1) == "yours"
    assert second.call(begin, integration, 1) == "busy"
    first.call("select crm_sync.end_refresh(%s)", integration)
    assert second.call(begin, integration, 1) == "yours"
    second.call("select crm_sync.store_credentials(%s, 1, %s)", integration, json.dumps({"access_token": "b"}))
    assert first.call(begin, integration, 1) == "newer"
    assert first.call(begin, integration, 2) == "yours"
    house.connection.execute("update crm_sync.lanes set refresh_until = now() - interval '1 second'")
    assert second.call(begin, integration, 2) == "yours", "the one that vanished has lost its right"


def test_of_many_daemons_exactly_one_may_refresh(
    house: House, database: str, organization: UUID, integration: int
) -> None:
    answers: list[str] = []

    def begin() -> None:
        with connect(database) as connection:
            answers.append(Daemon(House(connection)).call("select crm_sync.begin_refresh(%s, 1)", integration))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == ["busy"] * 5 + ["yours"]


def test_the_key_is_seen_by_no_other_session(house: House, database: str, organization: UUID, integration: int) -> None:
    with connect(database) as other:
        other.execute("reset crm_sync.encryption_key")
        for statement, arguments in (
            ("select set_config('crm_sync.encryption_key', %s, false)", [KEY]),
            (WRITE, [json.dumps({"access_token": SECRET}), integration]),
        ):
            other.execute(statement.encode(), arguments)
            seen = house.rows("select query from pg_stat_activity where pid = %s", other.info.backend_pid)
            assert seen[0][0]
            assert KEY not in seen[0][0]
            assert SECRET not in seen[0][0]
    assert house.value("select count(*) from pg_settings where setting = %s", OTHER_KEY) == 0


def test_new_credentials_end_an_error_and_old_ones_do_not(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute("update public.user_integrations set status = 'error', last_error = 'x', error_count = 3")
    house.connection.execute("update public.user_integrations set name = 'still'")
    state = "select status, last_error, error_count from public.user_integrations"
    assert house.rows(state) == [("error", "x", 3)]
    house.connection.execute(WRITE, [json.dumps({"access_token": "new"}), integration])
    assert house.rows(state) == [("connected", None, 0)]


def put(connection: psycopg.Connection, text: str) -> None:
    with connection.cursor().copy("copy crm_sync.letterbox (secret) from stdin (format binary)") as copy:
        copy.set_types(["text"])
        copy.write_row([text])


def test_what_is_put_in_the_letterbox_is_there_for_one_transaction_and_stored_nowhere(house: House) -> None:
    read = "select current_setting('crm_sync.letter', true)"
    for role in ("crm_sync_daemon", "crm_sync_console"):
        with house.as_role(role), house.connection.transaction():
            put(house.connection, SECRET)
            assert house.value(read) == SECRET
        assert not house.value(read)
    assert house.rows("select * from crm_sync.letterbox") == []
    for role in ("crm_sync_producer", "crm_sync_reader", "authenticated"):
        with house.as_role(role), pytest.raises(psycopg.errors.InsufficientPrivilege):
            put(house.connection, SECRET)


def test_what_the_letterbox_refuses_it_does_not_repeat(house: House) -> None:
    broken = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1" + len(SECRET).to_bytes(4) + SECRET.encode() + b"\0\7"
    copying = "copy crm_sync.letterbox (secret) from stdin (format binary)"
    with (
        pytest.raises(psycopg.Error) as error,
        house.as_role("crm_sync_daemon"),
        house.connection.cursor().copy(copying) as copy,
    ):
        copy.write(broken)
    assert SECRET not in str(error.value) + str(error.value.diag.context) + str(error.value.diag.message_detail)


def test_a_row_that_is_refused_is_quoted_with_its_credentials_sealed(
    house: House, organization: UUID, integration: int
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as error:
        house.connection.execute(
            "update public.user_integrations set credentials = %s, status = 'nonsense' where id = %s",
            [json.dumps({"access_token": SECRET}), integration],
        )
    assert "sealed:1:" in str(error.value.diag.message_detail)
    assert SECRET not in str(error.value)


def test_an_older_value_of_the_same_row_leads_to_nobody_elses_account(
    house: House, organization: UUID, integration: int
) -> None:
    """It is sealed for this row, and rows are restored; only who may write the table could put it back."""
    older = sealed(house, integration)
    house.connection.execute(WRITE, [json.dumps({"access_token": "newer"}), integration])
    version = house.value("select credentials_version from public.user_integrations where id = %s", integration)
    house.connection.execute(WRITE, [older, integration])
    assert opened(house, integration) == {"access_token": "token"}
    assert house.value("select credentials_version from public.user_integrations") == version + 1, "it counts as new"
