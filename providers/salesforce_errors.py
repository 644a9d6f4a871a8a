"""Salesforce's refusals, named in our terms: of a whole call (`error_of`) and of one record of a call (`row_error`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from providers.answers import json_value
from providers.codes import PAGES_OF_OTHERS, OwnCode
from providers.errors import (
    CONTACT_GONE,
    Contended,
    ProviderError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from providers.ratelimit import UNNAMED_POLICY, retry_after
from providers.salesforce_codes import BUSY, DOWN, FOR_PEOPLE, GONE, LIMITED, OVERLOADED

NAME = "salesforce"
KEY = "CRM_Sync_Key__c"
"""The custom field that holds our key on every object."""
FIELDS_MISSING: str = OwnCode.FIELDS_MISSING.value
LONGEST_MESSAGE = 2_000
LOCK_SECONDS = 2.0
DAY_LIMIT_SECONDS = 900.0
"""The limit is one of a rolling day: room comes back little by little, and no answer says when."""
CONCURRENCY_SECONDS = 10.0

STEPS = (
    "A Salesforce administrator has to do this once: deploy the package in deploy/salesforce "
    "(sf project deploy start --target-org YOUR_ORG) and assign its permission set to the user of this connection "
    "(sf org assign permset --name CRM_Sync --on-behalf-of USER). Or by hand: Setup > Object Manager > {object} > "
    f"Fields & Relationships > New > Text, length 255, field name {KEY.removesuffix('__c')}, "
    "check Unique (case-insensitive) and External ID; then give that user read and edit access to the field. "
    "On Activity check External ID only. Then connect Salesforce again."
)

UNKNOWN_COLUMN = re.compile(r"No such column '(\w+)'|No such field '?(\w+)'?|Field (\w+) does not exist")
QUOTED_QUERY = re.compile(r"ERROR at Row:\d+:Column:\d+")
RECORD_ID = re.compile(r"\b[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\b")


def error_of(response: httpx.Response) -> ProviderError:
    """What an answer outside 2xx means; bodies are a JSON array, an object (OAuth), or a page of something else."""
    status = response.status_code
    items = _items(response)
    correlation_id = response.headers.get("sfdc-request-id") or response.headers.get("x-request-id")
    if items:
        facts = _facts(items)
    else:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        words = f"something before Salesforce answered HTTP {status} ({kind}) instead of its API"
        facts = {"message": words, "code": None, "field": None}
    facts |= {"provider": NAME, "status": status, "correlation_id": correlation_id}
    wait = retry_after(response.headers)
    if items and status < 500 and (known := _by_code(facts, wait)) is not None:
        return known
    heads = {
        401: "Salesforce does not accept this connection's token: ",
        403: "Salesforce does not allow this connection to do that: ",
        410: "Salesforce no longer serves the API version in the provider's config (api_version), set a current one: ",
    }
    named: type[ProviderError] = Unexpected
    match status:
        case 301 | 302 | 307 | 308:
            # a token is not carried to wherever this leads
            words = "this org's API is no longer at the host of this connection: connect Salesforce again"
            named, facts["message"], facts["code"] = Unauthorized, words, OwnCode.ACCOUNT_MOVED
        case 401 | 403 | 410 if items or status != 403:
            named, facts["message"] = Unauthorized, heads[status] + facts["message"]
        case 409 | 423:
            named, wait = Contended, max(LOCK_SECONDS, wait or 0.0)
        case 429:
            named, wait = RateLimited, UNNAMED_POLICY if wait is None else wait
        # A firewall's 403 page is about our address or our pace, not about this connection's rights.
        case _ if status in (403, 408, 420) or status >= 500:
            named, facts["uncertain"] = Unavailable, status != 403
            if status == 403:
                facts["code"] = OwnCode.FIREWALL_403
        case _ if status in (413, 414, 431) or (items and _is_about_rows(status, facts)):
            named = Rejected
    if named is Unexpected and status == 404 and items:
        facts["code"] = OwnCode.NO_SUCH_PATH
    elif named is Unexpected and not items and status in PAGES_OF_OTHERS:
        facts["code"] = OwnCode.NOT_THE_API
    return named(**facts, retry_after=wait)


def row_error(errors: Sequence[Any]) -> ProviderError:
    """Why one record of a call was not written, from the `errors` of its entry in the answer."""
    items = [item for item in errors if isinstance(item, Mapping)]
    if not items:
        return Unexpected("Salesforce gave no reason for refusing this record", provider=NAME, code=OwnCode.NO_OUTCOME)
    facts = {**_facts(items), "provider": NAME}
    if (named := _by_code(facts, None)) is not None:
        return named
    if facts["code"] == "UNKNOWN_EXCEPTION":
        # a fault of Salesforce's own, which may have passed when it is tried again
        return Unexpected(**facts)
    if facts["code"] in ("DUPLICATES_DETECTED", "DUPLICATE_EXTERNAL_ID"):
        facts["message"] = _needs_review(items[0], facts["code"], facts["message"])
    return Rejected(**facts)


def is_overloaded(error: object) -> bool:
    """Whether the org's own automation could not take so many records at once; fewer of them may pass."""
    return (
        isinstance(error, ProviderError)
        and not isinstance(error, RateLimited)
        and OVERLOADED.search(error.message) is not None
    )


def is_gone(error: ProviderError) -> bool:
    """Whether the record that was written, or one that it refers to, no longer exists."""
    return error.code in GONE or (error.code == "INVALID_FIELD" and "foreign key external id" in error.message.lower())


def contact_gone(error: ProviderError) -> Rejected:
    """The same refusal, once it is known that the contact it is about does not exist."""
    return Rejected(
        error.message,
        provider=NAME,
        status=error.status,
        code=CONTACT_GONE,
        correlation_id=error.correlation_id,
        field=error.field,
    )


def fields_missing(object_name: str, words: str, *, status: int | None = None) -> Unauthorized:
    """Our field is not there, or not as we need it: what an administrator has to do."""
    return Unauthorized(
        f"{words} {STEPS.format(object=object_name)}", provider=NAME, status=status, code=FIELDS_MISSING, field=KEY
    )


def unseen(object_name: str, error: ProviderError) -> Unauthorized:
    """A field that no push can do without is hidden from this connection."""
    return Unauthorized(
        f"the user of this Salesforce connection cannot see {object_name}.{error.field}: an administrator has to give "
        f"read and edit access to that field: {error.message}",
        provider=NAME,
        status=error.status,
        code=error.code,
        correlation_id=error.correlation_id,
        field=error.field,
    )


def silence() -> ProviderError:
    return Unexpected(
        "Salesforce's answer does not say what became of this record",
        provider=NAME,
        code=OwnCode.NO_OUTCOME,
        uncertain=True,
    )


def _by_code(facts: dict[str, Any], wait: float | None) -> ProviderError | None:
    """What is meant whatever the status; None where the status decides."""
    code, words = str(facts["code"]), facts["message"]
    if code in LIMITED:
        is_brief = "concurrent" in words.lower()
        limit = CONCURRENCY_SECONDS if is_brief else DAY_LIMIT_SECONDS
        if is_brief:
            facts = {**facts, "code": OwnCode.CONCURRENT_LIMIT}
        return RateLimited(**facts, retry_after=limit if wait is None else wait)
    is_users = code == "API_CURRENTLY_DISABLED" and "user" in words.lower()
    if code in FOR_PEOPLE or is_users:
        heading = FOR_PEOPLE["API_DISABLED_FOR_ORG" if is_users else code]
        return Unauthorized(**{**facts, "message": f"{heading}: {words}"})
    if "UNABLE_TO_LOCK_ROW" in words:
        # a trigger of the org's met the lock, and failed by it
        code = "UNABLE_TO_LOCK_ROW"
    # two writers made the same record at once: the second finds it when it tries again
    if code in BUSY or (code == "DUPLICATE_VALUE" and KEY in words):
        return Contended(**facts, retry_after=max(LOCK_SECONDS, wait or 0.0))
    if code in DOWN:
        return Unavailable(**facts, retry_after=wait, uncertain=True)
    lost = code in ("INVALID_FIELD", "NOT_FOUND") and KEY in words
    if lost and "foreign key external id" not in words.lower():
        found = re.search(r"(?:entity|sobject of type) '?(\w+)", words)
        return fields_missing(found[1] if found else "the object", f"{words}.", status=facts.get("status"))
    return None


def _items(response: httpx.Response) -> list[Mapping[str, Any]]:
    body = json_value(response)
    return [item for item in (body if isinstance(body, list) else [body]) if isinstance(item, Mapping) and item]


def _facts(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Message, code and field: in all words, by the first of several reasons."""
    first = items[0]
    code = first.get("errorCode") or first.get("statusCode") or first.get("error")
    words = list(dict.fromkeys(filter(None, map(_words, items)))) or ["Salesforce gave no reason"]
    fields = first.get("fields")
    field = next((str(each) for each in fields if each), None) if isinstance(fields, list) else None
    if field is None and (found := UNKNOWN_COLUMN.search(words[0])):
        field = next(filter(None, found.groups()))
    return {"message": "; ".join(words)[:LONGEST_MESSAGE], "code": str(code) if code else None, "field": field}


def _words(item: Mapping[str, Any]) -> str:
    text = str(item.get("message") or item.get("error_description") or item.get("error") or "").strip()
    # what stands before repeats a part of the query, with whomever else it asked for
    return text[found.end() :].strip() if (found := QUOTED_QUERY.search(text)) else text


def _is_about_rows(status: int, facts: Mapping[str, Any]) -> bool:
    """Whether a refusal is about what was sent: no row is guilty of a path that is not there."""
    return status in (300, 400, 422) or (
        status == 404 and "requested resource does not" not in facts["message"].lower()
    )


def _needs_review(item: Mapping[str, Any], code: str, words: str) -> str:
    """A refusal that only a person can resolve, with the records that it is about where Salesforce names them."""
    ids = list(dict.fromkeys([*_matches(item), *(each for each in RECORD_ID.findall(words) if each[:3].isalnum())]))
    named = [each for each in ids if any(character.isdigit() for character in each)]
    records = f" The record it looks like: {', '.join(named)}." if named else ""
    if code == "DUPLICATE_EXTERNAL_ID":
        return (
            f"needs review: several Salesforce records hold the same {KEY}, one of them must lose it.{records} {words}"
        )
    result = item.get("duplicateResult")
    rule = result.get("duplicateRule") if isinstance(result, Mapping) else None
    return (
        f"needs review: Salesforce's duplicate rule {rule or 'of this object'} takes this for a record that exists."
        f"{records} Merge the two, or let an administrator change the rule, then retry: {words}"
    )


def _matches(value: Any) -> Iterator[str]:
    """All record ids below `matchRecords`, however deep they lie."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == "record" and isinstance(each, Mapping) and each.get("Id"):
                yield str(each["Id"])
            else:
                yield from _matches(each)
    elif isinstance(value, list):
        for each in value:
            yield from _matches(each)
