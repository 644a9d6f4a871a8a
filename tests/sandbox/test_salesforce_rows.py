"""Rows of the emulated Salesforce: upserts, collections, and everything a row can be refused for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.salesforce import Salesforce
from tests.sandbox.salesforce_client import DATA, KEY, Force, error, force

ADA = {KEY: "c-1", "LastName": "Lovelace", "FirstName": "Ada", "Email": "Ada@Example.com"}
LEAD = {"LastName": "Lovelace", "Company": "Analytical Engines"}
DEAL = {"Name": "Engine", "StageName": "Prospecting", "CloseDate": "2026-12-31"}


@pytest.fixture
def sf() -> Iterator[Force]:
    with force(Salesforce()) as opened:
        yield opened


def test_an_upsert_creates_then_updates_by_external_id_in_any_case(sf: Force) -> None:
    (created,) = sf.upsert("Contact", ADA).json()
    assert created == {"id": created["id"], "success": True, "errors": [], "created": True}
    (updated,) = sf.upsert("Contact", {KEY: "C-1", "LastName": "King"}).json()
    assert updated == {"id": created["id"], "success": True, "errors": [], "created": False}
    (contact,) = sf.ledger["contacts"]
    assert (contact["id"], contact["fields"]["Name"]) == (created["id"], "Ada King")
    assert contact["fields"]["Email"] == "ada@example.com"
    assert [each["effect"] for each in sf.effects] == ["created", "updated"]


def test_rows_answer_in_input_order_and_a_bad_one_harms_no_other(sf: Force) -> None:
    answers = sf.upsert("Contact", ADA, {KEY: "c-2"}, {KEY: "c-3", "LastName": "Byron"}).json()
    assert [each["success"] for each in answers] == [True, False, True]
    assert answers[1] == {
        "success": False,
        "errors": [
            {
                "statusCode": "REQUIRED_FIELD_MISSING",
                "message": "Required fields are missing: [LastName]",
                "fields": ["LastName"],
            }
        ],
    }
    assert len(sf.ledger["contacts"]) == 2


def test_all_or_none_takes_everything_back_as_if_it_never_happened(sf: Force) -> None:
    sf.upsert("Contact", ADA)
    answers = sf.upsert("Contact", {**ADA, "FirstName": "A."}, {KEY: "c-2"}, all_or_none=True).json()
    assert [each["errors"][0]["statusCode"] for each in answers] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert sf.ledger["contacts"][0]["fields"]["FirstName"] == "Ada"
    assert len(sf.effects) == 1
    assert sf.found(f"SELECT {KEY} FROM Contact WHERE {KEY} = 'c-2'") == []


def test_an_external_id_twice_in_one_call_is_refused_in_every_such_row(sf: Force) -> None:
    answers = sf.upsert("Contact", ADA, {**ADA, KEY: "C-1"}, {KEY: "c-2", "LastName": "Byron"}).json()
    assert [each["success"] for each in answers] == [False, False, True]
    assert answers[1]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    assert answers[1]["errors"][0]["message"] == "Duplicate external id specified: C-1"


def test_a_relation_by_external_id_is_followed(sf: Force) -> None:
    (account,) = sf.upsert("Account", {KEY: "a-1", "Name": "Analytical Engines"}).json()
    sf.upsert("Contact", {**ADA, "Account": {KEY: "A-1"}})
    sf.upsert("Opportunity", {KEY: "d-1", **DEAL, "Account": {"attributes": {"type": "Account"}, KEY: "a-1"}})
    ledger = sf.ledger
    assert ledger["contacts"][0]["fields"]["AccountId"] == account["id"]
    assert ledger["opportunities"][0]["fields"]["AccountId"] == account["id"]


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        ({KEY: "a-9"}, f"Foreign key external ID: a-9 not found for field {KEY} in entity Account"),
        ({"Nope__c": "a"}, "No such column 'Nope__c' on sobject of type Account"),
        ({KEY: "a", "Name": "b"}, "More than 1 field provided in an external foreign key reference in entity: Account"),
        ({"Name": "b"}, "Field name provided, Name is not an External ID or indexed field for Account"),
    ],
)
def test_a_relation_that_leads_nowhere_is_refused(sf: Force, relation: dict[str, str], message: str) -> None:
    refusal = sf.refused("Contact", {"LastName": "L", "Account": relation})
    assert (refusal["statusCode"], refusal["message"]) == ("INVALID_FIELD", message)
    assert sf.ledger["contacts"] == []


@pytest.mark.parametrize(
    ("sobject", "row", "code", "fields"),
    [
        ("Account", {}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ("Account", {"Name": "  "}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ("Lead", {"LastName": "L"}, "REQUIRED_FIELD_MISSING", ["Company"]),
        ("Opportunity", {}, "REQUIRED_FIELD_MISSING", ["Name", "StageName", "CloseDate"]),
        ("OpportunityContactRole", {}, "REQUIRED_FIELD_MISSING", ["OpportunityId", "ContactId"]),
        ("Contact", {"LastName": "x" * 81}, "STRING_TOO_LONG", ["LastName"]),
        ("Contact", {"LastName": "L", "Email": "no address"}, "INVALID_EMAIL_ADDRESS", ["Email"]),
        ("Contact", {"LastName": "L", "Nope": 1}, "INVALID_FIELD", []),
        ("Contact", {"LastName": "L", "Phone": 123}, "JSON_PARSER_ERROR", []),
        ("Contact", {"LastName": "L", "AccountId": "123"}, "MALFORMED_ID", ["AccountId"]),
        ("Contact", {"LastName": "L", "AccountId": "001000000000001"}, "INVALID_CROSS_REFERENCE_KEY", ["AccountId"]),
        ("Contact", {"LastName": "L", "AccountId": "003000000000001"}, "FIELD_INTEGRITY_EXCEPTION", ["AccountId"]),
        ("Contact", {"LastName": "L", "Name": "N"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Name"]),
        ("Contact", {"LastName": "L", "Id": "003000000000001"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Id"]),
        ("Opportunity", {**DEAL, "CloseDate": "31.12.2026"}, "JSON_PARSER_ERROR", []),
        ("Opportunity", {**DEAL, "CloseDate": "2026-02-30"}, "JSON_PARSER_ERROR", []),
        ("Opportunity", {**DEAL, "Amount": "a lot"}, "JSON_PARSER_ERROR", []),
        ("Opportunity", {**DEAL, "Amount": 1e18}, "NUMBER_OUTSIDE_VALID_RANGE", ["Amount"]),
        ("Opportunity", {**DEAL, "IsWon": True}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["IsWon"]),
        ("Contact", {"LastName": "L", "DoNotCall": "maybe"}, "JSON_PARSER_ERROR", []),
        ("Task", {"TaskSubtype": "Carrier pigeon"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["TaskSubtype"]),
        ("Task", {"Description": "x" * 32_001}, "STRING_TOO_LONG", ["Description"]),
        ("Unicorn", {"Name": "U"}, "INVALID_TYPE", []),
    ],
)
def test_a_bad_row_is_refused_with_its_code(
    sf: Force, sobject: str, row: dict[str, Any], code: str, fields: list[str]
) -> None:
    refusal = sf.refused(sobject, row)
    assert (refusal["statusCode"], refusal["fields"]) == (code, fields)
    assert sf.effects == []


def test_values_are_kept_as_the_fields_have_them(sf: Force) -> None:
    row = {**DEAL, "Amount": "1200.50", "StageName": "closed won", "Name": "  Engine  ", "NextStep": ""}
    sf.insert("Opportunity", row).raise_for_status()
    fields = sf.ledger["opportunities"][0]["fields"]
    assert (fields["Amount"], fields["StageName"], fields["Name"]) == (1200.5, "Closed Won", "Engine")
    assert (fields["IsWon"], fields["IsClosed"], fields["Probability"]) == (True, True, 100.0)
    assert "NextStep" not in fields


@pytest.mark.parametrize("address", ["a b@example.com", "a@example", "a..b@example.com", ".a@example.com", "a@-b.com"])
def test_an_address_that_is_none_is_refused(sf: Force, address: str) -> None:
    refusal = sf.refused("Contact", {"LastName": "L", "Email": address})
    assert (refusal["statusCode"], refusal["message"]) == (
        "INVALID_EMAIL_ADDRESS",
        f"Email: invalid email address: {address}",
    )


def test_letters_beyond_ascii_in_an_address_depend_on_the_org(sf: Force) -> None:
    row = {"LastName": "L", "Email": "chén@example.cn"}
    assert sf.insert("Contact", row).json()[0]["success"]
    sf.org.international_addresses = False
    assert sf.refused("Contact", row)["statusCode"] == "INVALID_EMAIL_ADDRESS"


def test_a_list_takes_unlisted_values_until_an_admin_restricts_it(sf: Force) -> None:
    assert sf.insert("Lead", {**LEAD, "LeadSource": "Carrier pigeon"}).json()[0]["success"]
    sf.org.restrict_picklist("Lead", "LeadSource", ["Web", "Other"])
    refusal = sf.refused("Lead", {**LEAD, "LeadSource": "Carrier pigeon"})
    assert refusal == {
        "statusCode": "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "message": "Lead Source: bad value for restricted picklist field: Carrier pigeon",
        "fields": ["LeadSource"],
    }
    assert sf.insert("Lead", {**LEAD, "LeadSource": "Web"}).json()[0]["success"]


def test_a_unique_value_belongs_to_one_live_record(sf: Force) -> None:
    (first,) = sf.insert("Contact", ADA).json()
    refusal = sf.refused("Contact", {**ADA, KEY: "C-1"})
    assert refusal["statusCode"] == "DUPLICATE_VALUE"
    assert first["id"][:15] in refusal["message"]
    sf.org.delete("Contact", first["id"])
    (second,) = sf.upsert("Contact", ADA).json()
    assert (second["created"], second["id"] != first["id"]) == (True, True)


def test_records_are_updated_by_long_and_short_ids(sf: Force) -> None:
    contact = sf.org.create("Contact", **ADA)
    gone = sf.org.create("Contact", LastName="Gone")
    sf.org.delete("Contact", gone)
    rows = [
        {"id": contact[:15], "Title": "Countess"},
        {"id": gone, "Title": "x"},
        {"id": "003000000000001", "Title": "x"},
        {"id": "nonsense", "Title": "x"},
        {"Title": "x"},
    ]
    body = {"records": [{"attributes": {"type": "Contact"}, **row} for row in rows]}
    answers = sf.call("PATCH", "composite/sobjects", body).json()
    assert answers[0] == {"id": contact, "success": True, "errors": []}
    assert [each["errors"][0]["statusCode"] for each in answers[1:]] == [
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
        "MISSING_ARGUMENT",
    ]
    assert sf.org.read("Contact", contact)["Title"] == "Countess"


def test_collections_are_read_with_null_for_what_is_not_there(sf: Force) -> None:
    contact = sf.org.create("Contact", **ADA)
    ids = [contact[:15], "003000000000001"]
    by_post = sf.call("POST", "composite/sobjects/Contact", {"ids": ids, "fields": ["LastName", "Phone"]})
    attributes = {"type": "Contact", "url": f"{DATA}/sobjects/Contact/{contact}"}
    expected = [{"attributes": attributes, "LastName": "Lovelace", "Phone": None, "Id": contact}, None]
    assert by_post.json() == expected
    params = {"ids": ",".join(ids), "fields": "LastName,Phone"}
    assert sf.call("GET", "composite/sobjects/Contact", params=params).json() == expected
    bad = sf.call("POST", "composite/sobjects/Contact", {"ids": ids, "fields": ["Nope"]})
    assert error(bad) == (400, "INVALID_FIELD", "No such column 'Nope' on sobject of type Contact")


def test_collections_are_deleted_by_ids(sf: Force) -> None:
    contact = sf.org.create("Contact", **ADA)
    answers = sf.call("DELETE", "composite/sobjects", params={"ids": f"{contact},003000000000001"}).json()
    assert [each["success"] for each in answers] == [True, False]
    assert sf.ledger["contacts"] == []


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PATCH", ""), ("PATCH", f"/Contact/{KEY}")])
def test_more_than_two_hundred_records_are_refused_as_a_whole(sf: Force, method: str, path: str) -> None:
    records = [{"attributes": {"type": "Contact"}, "LastName": "L", KEY: f"c-{number}"} for number in range(201)]
    response = sf.call(method, f"composite/sobjects{path}", {"records": records})
    assert error(response)[:2] == (400, "EXCEEDED_ID_LIMIT")
    assert sf.effects == []


@pytest.mark.parametrize(
    "records",
    [
        [],
        ["x"],
        [{"LastName": "L", KEY: "c-1"}],
        [{"attributes": {"type": "Lead"}, "LastName": "L", KEY: "c-1"}],
    ],
)
def test_an_upsert_that_is_not_well_formed_is_refused_as_a_whole(sf: Force, records: list[Any]) -> None:
    response = sf.call("PATCH", f"composite/sobjects/Contact/{KEY}", {"records": records})
    assert response.status_code == 400
    assert sf.effects == []


def test_an_upsert_needs_a_key_field_and_its_value_and_no_id(sf: Force) -> None:
    assert error(sf.upsert("Contact", {"LastName": "L"}, key="Title"))[:2] == (404, "NOT_FOUND")
    (row,) = sf.upsert("Contact", {"LastName": "L"}).json()
    assert row["errors"][0]["statusCode"] == "MISSING_ARGUMENT"
    (row,) = sf.upsert("Contact", {**ADA, "Id": "003000000000001"}).json()
    assert row["errors"][0]["statusCode"] == "INVALID_FIELD"


def test_an_unknown_field_may_refuse_the_whole_call() -> None:
    with force(Salesforce(parse_errors="call")) as sf:
        response = sf.upsert("Contact", ADA, {KEY: "c-2", "LastName": "L", "Nope": "x"})
        assert error(response) == (400, "INVALID_FIELD", "No such column 'Nope' on sobject of type Contact")
        assert (sf.ledger["contacts"], sf.effects) == ([], [])


def test_without_our_fields_they_do_not_exist() -> None:
    with force(Salesforce(), fields=False) as sf:
        described = sf.call("GET", "sobjects/Contact/describe").json()
        assert KEY not in [each["name"] for each in described["fields"]]
        assert error(sf.upsert("Contact", ADA))[:2] == (404, "NOT_FOUND")
        assert error(sf.query(f"SELECT {KEY} FROM Contact"))[:2] == (400, "INVALID_FIELD")
        sf.org.deploy_fields()
        assert sf.upsert("Contact", ADA).json()[0]["created"]
