"""What every CRM's client must do, whatever the CRM and the way to it do."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers import base, client_for
from providers.errors import FailureKind, Unauthorized
from providers.models import ContactDocument
from tests.providers.contract import (
    STAGES,
    Account,
    Budget,
    Pushed,
    Sample,
    Stage,
    Tokens,
    carry,
    contacts_of,
    follow_ups,
    new_account,
    push,
)

ALWAYS = 10_000
UNDISTURBED: dict[str, dict[str, Any]] = {}
LOSSES: list[dict[str, Any]] = [
    {"cut": True},
    {"drop_answer": True},
    {"cut_body": True},
    {"html": True},
    {"html": True, "status": 502},
    {"status": 500},
]
REFUSALS: list[dict[str, Any]] = [
    {"status": 404},
    {"status": 409},
    {"status": 422},
    {"status": 423},
    {"status": 429},
    {"status": 429, "retry_after": 7},
]


def name_of(harm: object) -> str | None:
    return " ".join(f"{key}={value}" for key, value in harm.items()) if isinstance(harm, dict) else None


def kinds(pushed: Pushed) -> set[FailureKind]:
    return {outcome.failure.kind for outcome in pushed.all if outcome.failure is not None}


async def undisturbed(sample: Sample) -> dict[str, Any]:
    """What the ledger says where nothing goes wrong: the same of each account."""
    if sample.name not in UNDISTURBED:
        account = await new_account(sample)
        history = await carry(sample, account)
        assert all(pushed.statuses == {"synced"} for pushed in history)
        UNDISTURBED[sample.name] = account.facts()
    return UNDISTURBED[sample.name]


async def test_everything_arrives_and_is_said_to_be_new(sample: Sample, account: Account) -> None:
    first, second = await carry(sample, account)
    assert first.statuses == second.statuses == {"synced"}
    assert all(outcome.created and outcome.external_id for outcome in [*first.all, *second.all])
    companies = [first.of(contact).company_external_id for contact in contacts_of(sample)]
    assert companies[0] == companies[3] != companies[1]
    assert companies[2] is None


async def test_the_same_batch_twice_leaves_the_same_ledger(sample: Sample, account: Account) -> None:
    first = await push(sample, account, *contacts_of(sample))
    later = [
        document.model_copy(update={"uncertain": True}) for document in follow_ups(sample, contacts_of(sample), first)
    ]
    await push(sample, account, *later)
    before, effects = account.facts(), account.effects()
    again = await push(sample, account, *contacts_of(sample), *later)
    assert again.statuses == {"synced"}
    assert not any(outcome.created for outcome in again.all)
    assert (account.facts(), account.effects()) == (before, effects)
    assert {again.of(contact).external_id for contact in contacts_of(sample)} == {
        outcome.external_id for outcome in first.all
    }


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("harm", LOSSES, ids=name_of)
async def test_a_lost_answer_makes_what_was_sent_uncertain_and_the_retries_end_with_the_same_ledger(
    sample: Sample, account: Account, stage: Stage, harm: dict[str, Any]
) -> None:
    account.disturb(stage, **harm)
    history = await carry(sample, account)
    disturbed = next(pushed for pushed in history if pushed.error is not None)
    assert kinds(disturbed) == {FailureKind.UNAVAILABLE}
    assert any(outcome.uncertain for outcome in disturbed.all if outcome.status == "failed")
    assert account.facts() == await undisturbed(sample)


async def test_what_a_lost_answer_left_in_the_crm_is_ours_to_change(sample: Sample, account: Account) -> None:
    account.disturb("contacts", drop_answer=True)
    lost = await push(sample, account, *contacts_of(sample))
    assert any(outcome.uncertain for outcome in lost.all)
    renamed = [
        contact.model_copy(update={"fields": sample.contact_fields(contact.email, "Another", f"Name {number}")})
        for number, contact in enumerate(contacts_of(sample))
    ]
    again = await push(
        sample, account, *(each.model_copy(update={"uncertain": lost.of(each).uncertain}) for each in renamed)
    )
    assert again.statuses == {"synced"}
    fresh = await new_account(sample)
    await push(sample, fresh, *renamed)
    assert account.facts() == fresh.facts()


async def test_what_was_in_the_crm_before_a_lost_answer_is_its_peoples(sample: Sample, account: Account) -> None:
    strangers = [contact.model_copy(update={"contact_id": UUID(int=900)}) for contact in contacts_of(sample)[:1]]
    await push(sample, account, *strangers)
    before = account.facts()
    soon = datetime.now(UTC) + timedelta(minutes=30)  # as if the record were half an hour old
    renamed = [
        contact.model_copy(
            update={
                "contact_id": UUID(int=900),
                "queued_at": soon,
                "uncertain": True,
                "fields": sample.contact_fields(contact.email, "Another", "Name"),
            }
        )
        for contact in contacts_of(sample)[:1]
    ]
    assert (await push(sample, account, *renamed)).statuses == {"synced"}
    assert account.facts() == before


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("harm", REFUSALS, ids=name_of)
async def test_whatever_is_refused_once_the_retries_end_with_the_same_ledger(
    sample: Sample, account: Account, stage: Stage, harm: dict[str, Any]
) -> None:
    account.disturb(stage, **harm)
    await carry(sample, account)
    assert account.facts() == await undisturbed(sample)


async def test_a_slow_answer_is_given_up_and_is_uncertain(sample: Sample, account: Account) -> None:
    account.config = account.config.model_copy(update={"timeout_seconds": 0.6})
    account.disturb("contacts", delay=2.0)
    pushed = await push(sample, account, *contacts_of(sample))
    assert kinds(pushed) == {FailureKind.UNAVAILABLE}
    assert all(outcome.uncertain for outcome in pushed.all)


async def test_a_crm_that_cannot_be_reached_has_nothing(sample: Sample, account: Account) -> None:
    account.config = account.config.model_copy(update={"api_base_url": "http://127.0.0.1:9"})
    pushed = await push(sample, account, *contacts_of(sample))
    assert kinds(pushed) == {FailureKind.UNAVAILABLE}
    assert not any(outcome.uncertain for outcome in pushed.all)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, FailureKind.UNAUTHORIZED),
        (404, FailureKind.REJECTED),
        (409, FailureKind.CONTENDED),
        (422, FailureKind.REJECTED),
        (423, FailureKind.CONTENDED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.UNAVAILABLE),
    ],
)
async def test_a_refusal_has_one_meaning(sample: Sample, account: Account, status: int, kind: FailureKind) -> None:
    account.disturb("contacts", status=status, times=ALWAYS)
    pushed = await push(sample, account, *contacts_of(sample))
    assert kinds(pushed) == {kind}
    assert {outcome.failure.status for outcome in pushed.all if outcome.failure} == {status}
    assert {outcome.uncertain for outcome in pushed.all} == {kind is FailureKind.UNAVAILABLE}


async def test_a_refusal_is_told_in_the_crms_own_words(sample: Sample, account: Account) -> None:
    account.disturb("contacts", status=409, body={"message": "Moonbeam 7 is in use", "category": "CONFLICT"}, times=9)
    pushed = await push(sample, account, *contacts_of(sample))
    assert all(outcome.failure and "Moonbeam 7 is in use" in outcome.failure.message for outcome in pushed.all)


async def test_the_crm_says_how_long_to_wait(sample: Sample, account: Account) -> None:
    account.disturb("contacts", status=429, retry_after=7)
    pushed = await push(sample, account, *contacts_of(sample))
    assert {outcome.failure.retry_after for outcome in pushed.all if outcome.failure} == {7}


async def test_a_limit_without_a_word_about_time_still_makes_us_wait(sample: Sample, account: Account) -> None:
    account.disturb("contacts", status=429)
    pushed = await push(sample, account, *contacts_of(sample))
    assert all(((outcome.failure and outcome.failure.retry_after) or 0) >= 1 for outcome in pushed.all)


async def test_a_lock_makes_us_wait_a_little(sample: Sample, account: Account) -> None:
    account.disturb("contacts", status=423)
    pushed = await push(sample, account, *contacts_of(sample))
    assert all(((outcome.failure and outcome.failure.retry_after) or 0) >= 2 for outcome in pushed.all)


async def test_an_expired_token_is_refreshed_once(sample: Sample, account: Account) -> None:
    account.expire()
    pushed = await push(sample, account, *contacts_of(sample))
    assert pushed.statuses == {"synced"}
    assert pushed.refreshes == 1


async def test_a_dead_connection_is_not_asked_again_and_again(sample: Sample, account: Account) -> None:
    account.kill()
    pushed = await push(sample, account, *contacts_of(sample))
    assert isinstance(pushed.error, Unauthorized)
    assert kinds(pushed) == {FailureKind.UNAUTHORIZED}
    assert (pushed.refreshes, pushed.calls) == (1, 1)
    assert not any(outcome.uncertain for outcome in pushed.all)


async def test_a_token_refused_after_its_refresh_ends_the_push(sample: Sample, account: Account) -> None:
    account.disturb("contacts", status=401, times=ALWAYS)
    pushed = await push(sample, account, *contacts_of(sample))
    assert kinds(pushed) == {FailureKind.UNAUTHORIZED}
    assert pushed.refreshes == 1


async def test_one_bad_row_does_not_spoil_the_others(sample: Sample, account: Account) -> None:
    bad = refused_contact(sample)
    good = contacts_of(sample)
    pushed = await push(sample, account, *good[:2], bad, *good[2:])
    assert {pushed.of(contact).status for contact in good} == {"synced"}
    refused = pushed.of(bad)
    assert refused.failure is not None
    assert refused.failure.kind is FailureKind.REJECTED
    assert refused.failure.field == sample.refused_field
    assert not refused.uncertain


async def test_what_was_achieved_before_the_end_stays_achieved(sample: Sample, account: Account) -> None:
    contacts = contacts_of(sample)
    later = follow_ups(sample, contacts, await push(sample, account, *contacts))
    account.disturb("activities", status=429, times=ALWAYS)
    pushed = await push(sample, account, *contacts, *later)
    by_length: dict[str, set[str]] = {"contact": set(), "deal": set(), "activity": set(), "task": set()}
    for rows, outcome in pushed.outcomes.items():
        by_length[("contact", "deal", "activity", "task")[rows[0] // 100 - 1]].add(outcome.status)
    assert by_length == {"contact": {"synced"}, "deal": {"synced"}, "activity": {"failed"}, "task": {"failed"}}
    assert not any(outcome.uncertain for outcome in pushed.all)


async def test_what_was_never_sent_is_not_uncertain(sample: Sample, account: Account) -> None:
    contacts = contacts_of(sample)
    later = follow_ups(sample, contacts, await push(sample, account, *contacts))
    fresh = [contact_like(contact, number) for number, contact in enumerate(contacts)]
    account.disturb("contacts", drop_answer=True)
    pushed = await push(sample, account, *fresh, *later)
    assert {pushed.of(contact).uncertain for contact in fresh} == {True}
    assert {pushed.of(document).uncertain for document in later} == {False}


@pytest.mark.parametrize("calls", range(8))
async def test_a_shutdown_hands_back_what_was_not_sent(sample: Sample, account: Account, calls: int) -> None:
    contacts = contacts_of(sample)
    pushed = await push(sample, account, *contacts, budget=Budget(calls=calls))
    assert pushed.statuses <= {"synced", "released"}
    assert calls or pushed.statuses == {"released"}
    assert calls or not any(outcome.uncertain for outcome in pushed.all)
    await carry(sample, account)
    assert account.facts() == await undisturbed(sample)


async def test_a_call_that_was_granted_long_ago_is_confirmed_and_not_made_where_the_work_is_not_ours_any_more(
    sample: Sample, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = contacts_of(sample)
    budget = Budget()
    await push(sample, account, *contacts[:1], budget=budget)
    assert budget.confirmed == 0
    facts = account.facts()
    monkeypatch.setattr(base, "STALE_SECONDS", 0.0)  # as if it had stood still between the grant and the call
    void = Budget(is_void=True)
    pushed = await push(sample, account, *contacts[1:], budget=void)
    assert pushed.statuses == {"released"}
    assert void.confirmed > 0
    assert not any(outcome.uncertain for outcome in pushed.all)
    assert account.facts() == facts
    await carry(sample, account)
    assert account.facts() == await undisturbed(sample)


async def test_an_empty_batch_costs_no_call(sample: Sample, account: Account) -> None:
    assert (await push(sample, account)).calls == 0


async def test_the_account_is_named_and_the_schema_may_be_made_twice(sample: Sample, account: Account) -> None:
    async with httpx.AsyncClient() as http:
        client = client_for(sample.name)(account.config, Tokens(account, http), Budget(), http)
        await client.ensure_schema()
        await client.ensure_schema()
        found = await client.identify()
        assert found.id
        assert found.name
        assert found.url


async def test_no_secret_and_no_person_is_in_any_log_line_or_exception(
    sample: Sample, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (None, "httpx", "httpcore"):  # a test before this one may have silenced them
        caplog.set_level(logging.DEBUG, logger=name)
    seen: list[str] = []
    first = account.credentials()
    secrets = [first.access_token.get_secret_value()]
    if first.refresh_token is not None:
        secrets.append(first.refresh_token.get_secret_value())
    echo = {"message": f"you sent Bearer {secrets[0]}", "category": "VALIDATION_ERROR"}
    account.disturb("contacts", status=422, body=echo, times=ALWAYS)
    seen += [repr(outcome) for outcome in (await push(sample, account, *contacts_of(sample))).all]
    assert "you sent Bearer [token]" in seen[0]
    account.calm()
    account.expire()
    for harm in [*LOSSES, *REFUSALS, {"status": 401}, {"status": 403}]:
        account.disturb("contacts", **harm)
        fresh = [contact_like(contact, len(seen)) for contact in contacts_of(sample)]
        pushed = await push(sample, account, *fresh)
        seen += [repr(pushed.error), repr(getattr(pushed.error, "__dict__", ""))]
        account.calm()
    assert {record.name.split(".")[0] for record in caplog.records} >= {"httpx", "httpcore"}
    for text in [caplog.text, *seen]:
        assert not [secret for secret in secrets if secret in text]
    # what httpx says below a warning names the URL, and the daemon never logs it
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [line for line in warnings if "ada@" in line or "ada%40" in line or "Lovelace" in line]


@pytest.mark.parametrize("name", ["nobody", "base", "errors", "hubspot_wire", "../hubspot", "", "HubSpot"])
def test_what_is_no_provider_is_not_found(name: str) -> None:
    with pytest.raises(LookupError):
        client_for(name)


def refused_contact(sample: Sample) -> ContactDocument:
    return ContactDocument(
        rows=(190,), contact_id=UUID(int=190), email="eve@example.com", fields=sample.refused_fields()
    )


def contact_like(contact: ContactDocument, number: int) -> ContactDocument:
    """Another person, whom the CRM has not seen."""
    rows = (1_000 + number * 100 + contact.rows[0] % 100,)
    email = f"n{rows[0]}.{contact.email}"
    fields = {
        name: field._replace(value=email) if field.value == contact.email else field
        for name, field in contact.fields.items()
    }
    update = {"rows": rows, "contact_id": UUID(int=rows[0]), "email": email, "fields": fields}
    return contact.model_copy(update=update)
