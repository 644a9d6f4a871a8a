"""Single records, descriptions and composite calls of the emulated Salesforce, by the guides' own examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.faults import Fault
from sandbox.salesforce import Salesforce
from sandbox.salesforce.ids import canonical
from tests.sandbox.salesforce_client import DATA, KEY, Force, error, force

NOT_FOUND = (404, "NOT_FOUND", "The requested resource does not exist")


@pytest.fixture
def sf() -> Iterator[Force]:
    with force(Salesforce()) as opened:
        yield opened


def test_a_record_lives_by_its_id(sf: Force) -> None:
    created = sf.call("POST", "sobjects/Account", {"Name": "Express Logistics and Transport"})
    assert created.status_code == 201
    account = created.json()["id"]
    assert created.json() == {"id": account, "success": True, "errors": []}
    path = f"sobjects/Account/{account}"
    updated = sf.call("PATCH", path, {"BillingCity": "San Francisco"})
    assert (updated.status_code, updated.content) == (204, b"")
    read = sf.call("GET", path, params={"fields": "Name,BillingCity,Phone"}).json()
    assert read == {
        "attributes": {"type": "Account", "url": f"{DATA}/{path}"},
        "Name": "Express Logistics and Transport",
        "BillingCity": "San Francisco",
        "Phone": None,
        "Id": account,
    }
    assert sf.call("GET", f"sobjects/account/{account[:15]}").json()["Name"] == "Express Logistics and Transport"
    assert sf.call("DELETE", path).status_code == 204
    assert error(sf.call("GET", path)) == NOT_FOUND
    assert error(sf.call("PATCH", path, {"Name": "x"})) == (404, "ENTITY_IS_DELETED", "entity is deleted")
    assert error(sf.call("DELETE", path)) == (404, "ENTITY_IS_DELETED", "entity is deleted")


def test_a_record_is_upserted_by_its_external_id(sf: Force) -> None:
    path = f"sobjects/Account/{KEY}/11999"
    created = sf.call("PATCH", path, {"Name": "California Wheat Corporation"})
    assert (created.status_code, created.json()["created"]) == (201, True)
    updated = sf.call("PATCH", path, {"Name": "California Corn"})
    assert (updated.status_code, updated.json()) == (200, {**created.json(), "created": False})
    assert sf.call("GET", path).json()["Name"] == "California Corn"
    assert error(sf.call("PATCH", path, {"Name": "x", KEY: "11999"}))[:2] == (400, "INVALID_FIELD")
    assert error(sf.call("PATCH", path, {"Name": "x", "Id": created.json()["id"]}))[:2] == (400, "INVALID_FIELD")
    only = sf.call("PATCH", f"sobjects/Account/{KEY}/12000", {"Name": "x"}, params={"updateOnly": "true"})
    assert error(only)[:2] == (404, "NOT_FOUND")
    assert error(sf.call("PATCH", "sobjects/Account/Site/x", {"Name": "x"}))[:2] == (404, "NOT_FOUND")
    assert sf.call("DELETE", path).status_code == 204
    assert error(sf.call("GET", path)) == NOT_FOUND


def test_an_address_that_two_have_gives_a_choice(sf: Force) -> None:
    found = [sf.org.create("Lead", LastName=name, Company="C", Email="a@example.com") for name in ("A", "B")]
    response = sf.call("PATCH", "sobjects/Lead/Email/A@example.com", {"LastName": "X", "Company": "C"})
    assert response.status_code == 300
    assert response.json() == [f"{DATA}/sobjects/Lead/{each}" for each in found]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "sobjects/Unicorn/describe", None, NOT_FOUND),
        ("GET", "nonsense", None, NOT_FOUND),
        ("GET", "sobjects/Contact/003000000000001", None, NOT_FOUND),
        ("PATCH", "sobjects/Contact/nonsense", {"LastName": "L"},
         (404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: nonsense")),
        ("PUT", "sobjects/Contact", {"LastName": "L"}, (405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed")),
        ("POST", "sobjects/Contact", {}, (400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]")),
        ("POST", "sobjects/Contact", {"Nope": 1},
         (400, "INVALID_FIELD", "No such column 'Nope' on sobject of type Contact")),
        ("POST", "sobjects/User", {"Name": "U"},
         (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be written: User")),
        ("POST", "composite/sobjects", {"rows": []},
         (400, "JSON_PARSER_ERROR", "Unrecognized field 'rows' at [line:1, column:2]")),
    ],
)  # fmt: skip
def test_a_call_that_is_wrong_is_refused_with_an_array(
    sf: Force, method: str, path: str, body: Any, expected: tuple[int, str, str]
) -> None:
    assert error(sf.call(method, path, body)) == expected


def test_a_body_is_json(sf: Force) -> None:
    headers = {"authorization": f"Bearer {sf.org.access_token}"}
    url = f"{DATA}/sobjects/Contact"
    for content in (b"{", b"\xff", b"[]", b"[" * 100_000):
        sent = {**headers, "content-type": "application/json"}
        assert error(sf.client.post(url, content=content, headers=sent))[:2] == (400, "JSON_PARSER_ERROR")
    form = sf.client.post(url, data={"LastName": "L"}, headers=headers)
    assert error(form)[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_an_object_describes_itself(sf: Force) -> None:
    sf.org.add_field("Contact", "Mood__c", type="picklist", options=["good", "bad"], restricted=True)
    described = sf.call("GET", "sobjects/Contact/describe").json()
    fields = {each["name"]: each for each in described["fields"]}
    assert (described["name"], described["keyPrefix"], described["createable"]) == ("Contact", "003", True)
    key = fields[KEY]
    assert (key["externalId"], key["unique"], key["idLookup"], key["length"]) == (True, True, True, 255)
    assert (fields["LastName"]["nillable"], fields["LastName"]["length"]) == (False, 80)
    assert (fields["Email"]["type"], fields["Email"]["idLookup"]) == ("email", True)
    assert (fields["Name"]["createable"], fields["Name"]["updateable"]) == (False, False)
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    assert fields["OwnerId"]["defaultedOnCreate"] is True
    assert fields["Description"]["filterable"] is False
    assert fields["Mood__c"]["restrictedPicklist"] is True
    assert [each["value"] for each in fields["Mood__c"]["picklistValues"]] == ["good", "bad"]
    assert sf.refused("Contact", {"LastName": "L", "Mood__c": "mixed"})["fields"] == ["Mood__c"]
    sf.org.remove_field("Contact", "Mood__c")
    assert sf.refused("Contact", {"LastName": "L", "Mood__c": "good"})["statusCode"] == "INVALID_FIELD"


def test_the_org_lists_its_objects(sf: Force) -> None:
    listed = {each["name"]: each for each in sf.call("GET", "sobjects").json()["sobjects"]}
    assert {"Account", "Contact", "Lead", "Opportunity", "OpportunityContactRole", "Task"} <= set(listed)
    assert listed["Task"]["urls"]["describe"] == f"{DATA}/sobjects/Task/describe"
    assert sf.call("GET", "").json()["sobjects"] == f"{DATA}/sobjects"


def test_an_org_tells_its_name_and_who_is_connected(sf: Force) -> None:
    assert sf.found("SELECT Id, Name, IsSandbox FROM Organization") == [
        {"Id": sf.org.id, "Name": sf.org.name, "IsSandbox": False}
    ]
    assert sf.call("GET", "").json()["identity"].endswith(f"/id/{sf.org.id}/{sf.org.user_id}")
    assert sf.refused("Organization", {"Name": "N"})["statusCode"] == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"


def test_ids_carry_their_case_in_the_suffix(sf: Force) -> None:
    assert canonical("001D000000IqhSL") == "001D000000IqhSLIAZ", "the example of the REST guide"
    assert canonical("001D000000IqhSLIAA") is None
    prefixes = {each["id"][:3] for each in [{"id": sf.org.create("Task")}, {"id": sf.org.create("Account", Name="A")}]}
    assert prefixes == {"00T", "001"}


def composite(sf: Force, *subrequests: dict[str, Any], all_or_none: bool = False) -> httpx.Response:
    return sf.call("POST", "composite", {"allOrNone": all_or_none, "compositeRequest": list(subrequests)})


def sub(name: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    return {"method": method, "url": f"{DATA}/{path}", "referenceId": name, **({} if body is None else {"body": body})}


def test_subrequests_use_the_answers_before_them(sf: Force) -> None:
    response = composite(
        sf,
        sub("NewAccount", "POST", "sobjects/Account", {"Name": "Salesforce"}),
        sub("Info", "GET", "sobjects/Account/@{NewAccount.id}?fields=Name"),
        sub("NewContact", "POST", "sobjects/Contact", {"LastName": "Doe", "AccountId": "@{NewAccount.id}"}),
        sub("Found", "GET", "query?q=SELECT+Id+FROM+Contact+WHERE+LastName='@{NewContact.id}'+OR+LastName='Doe'"),
        sub("Task", "POST", "sobjects/Task", {"WhoId": "@{Found.records[0].Id}"}),
    )
    answers = response.json()["compositeResponse"]
    assert [each["httpStatusCode"] for each in answers] == [201, 200, 201, 200, 201]
    assert answers[1]["body"]["Name"] == "Salesforce"
    ledger = sf.ledger
    assert ledger["tasks"][0]["fields"]["AccountId"] == ledger["accounts"][0]["id"]
    assert ledger["calls"]["total"] == 1


def test_a_failed_subrequest_fails_those_that_refer_to_it(sf: Force) -> None:
    requests = (
        sub("Good", "POST", "sobjects/Account", {"Name": "A"}),
        sub("Bad", "POST", "sobjects/Account", {}),
        sub("Later", "POST", "sobjects/Contact", {"LastName": "L", "AccountId": "@{Bad.id}"}),
    )
    answers = composite(sf, *requests).json()["compositeResponse"]
    codes = [each["body"][0]["errorCode"] for each in answers[1:]]
    assert codes == ["REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert len(sf.ledger["accounts"]) == 1
    undone = composite(sf, *requests, all_or_none=True).json()["compositeResponse"]
    assert [each["httpStatusCode"] for each in undone] == [400, 400, 400]
    assert len(sf.ledger["accounts"]) == 1


def test_a_composite_has_its_limits(sf: Force) -> None:
    create = [sub(f"r{number}", "POST", "sobjects/Account", {"Name": "A"}) for number in range(26)]
    assert composite(sf, *create).status_code == 400
    queries = [sub(f"q{number}", "GET", "query?q=SELECT+Id+FROM+Account") for number in range(6)]
    assert composite(sf, *queries).status_code == 400
    assert composite(sf, create[0], create[0]).status_code == 400
    assert composite(sf).status_code == 400
    assert sf.effects == []


def test_a_fault_strikes_one_org_and_a_lost_answer_was_still_handled(sf: Force) -> None:
    other = sf.salesforce.open_org()
    sf.salesforce.faults.add(Fault(path="/sobjects/Contact", account=sf.org.number, drop_answer=True))
    assert sf.call("POST", "sobjects/Contact", {"LastName": "L"}, token=other.access_token).status_code == 201
    with pytest.raises(httpx.RemoteProtocolError):
        sf.call("POST", "sobjects/Contact", {"LastName": "L"})
    assert len(sf.ledger["contacts"]) == 1
    assert sf.ledger["calls"]["by_status"] == {"cut": 1}
