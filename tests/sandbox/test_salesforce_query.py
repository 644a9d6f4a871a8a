"""SOQL of the emulated Salesforce."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.salesforce import Salesforce
from tests.clock import Clock
from tests.sandbox.salesforce_client import DATA, KEY, Force, error, force


@pytest.fixture(scope="module")
def sf() -> Iterator[Force]:
    with force(Salesforce(Clock())) as opened:
        org = opened.org
        account = org.create("Account", Name="O'Hara & Söhne", NumberOfEmployees=12, **{KEY: "a-1"})
        rows = (
            ("Ada", "ada@example.com", "100% sure", account),
            ("Byron", "BYRON@example.com", "under_score", None),
            ("Curie", None, None, account),
            ("Darwin", "darwin@example.org", "underXscore", None),
        )
        for number, (name, email, title, owner) in enumerate(rows):
            fields = {"LastName": name, "Email": email, "Title": title, "AccountId": owner, KEY: f"c-{number}"}
            org.create("Contact", **fields)
        org.delete("Contact", org.create("Contact", LastName="Gone"))
        org.create("Opportunity", Name="D", StageName="Closed Won", CloseDate="2026-05-01", Amount=10)
        yield opened


def names(sf: Force, where: str) -> str:
    """The initials of the contacts that a condition finds."""
    found = sf.found(f"SELECT LastName FROM Contact {where}")
    return "".join(each["LastName"][0] for each in found)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("", "ABCD"),
        ("WHERE Email = 'ADA@EXAMPLE.COM'", "A"),
        ("where email in ('ada@example.com', 'byron@example.com')", "AB"),
        ("WHERE Email NOT IN ('ada@example.com')", "BCD"),
        ("WHERE Email != 'ada@example.com'", "BCD"),
        ("WHERE Email <> null", "ABD"),
        ("WHERE Email = null", "C"),
        ("WHERE Email = ''", "C"),
        ("WHERE Email LIKE '%@example.com'", "AB"),
        ("WHERE Title LIKE '100\\% %'", "A"),
        ("WHERE Title LIKE 'under\\_score'", "B"),
        ("WHERE Title LIKE 'under_score'", "BD"),
        ("WHERE NOT Email LIKE '%example.com'", "CD"),
        ("WHERE LastName > 'B' AND LastName < 'd'", "BC"),
        ("WHERE LastName >= 'curie'", "CD"),
        ("WHERE (LastName = 'Ada' OR LastName = 'Byron') AND Email LIKE 'b%'", "B"),
        (f"WHERE {KEY} IN ('c-0', 'C-3')", "AD"),
        ("WHERE Account.Name = 'o\\'hara & söhne'", "AC"),
        (f"WHERE Account.{KEY} = 'a-1'", "AC"),
        ("WHERE Account.NumberOfEmployees > 11.5", "AC"),
        ("WHERE Account.Name = null", "BD"),
        ("WHERE CreatedDate = TODAY AND DoNotCall = false", "ABCD"),
        ("WHERE CreatedDate != TODAY", ""),
        ("WHERE CreatedDate >= TODAY", "ABCD"),
        ("WHERE CreatedDate > TODAY", ""),
        ("WHERE CreatedDate > YESTERDAY AND CreatedDate < TOMORROW", "ABCD"),
        ("WHERE CreatedDate <= YESTERDAY", ""),
        ("WHERE CreatedDate > 2020-01-01T00:00:00Z", "ABCD"),
        ("WHERE CreatedDate < 2020-01-01T00:00:00+01:00", ""),
        ("ORDER BY LastName DESC LIMIT 2", "DC"),
        ("ORDER BY Email", "CABD"),
        ("ORDER BY Email DESC NULLS LAST, LastName", "DBAC"),
        ("LIMIT 2 OFFSET 1", "BC"),
    ],
)
def test_a_condition_finds_what_it_says(sf: Force, where: str, found: str) -> None:
    assert names(sf, where) == found


def test_ids_are_found_in_both_lengths(sf: Force) -> None:
    (contact,) = sf.found("SELECT Id FROM Contact WHERE LastName = 'Ada'")
    for given in (contact["Id"], contact["Id"][:15]):
        assert sf.found(f"SELECT Id FROM Contact WHERE Id = '{given}'") == [contact]


def test_relations_are_answered_as_records_inside_records(sf: Force) -> None:
    answer = sf.query("SELECT c.LastName, c.Account.Name FROM Contact c WHERE c.LastName < 'C'").json()
    account_id = sf.ledger["accounts"][0]["id"]
    assert [each["Account"] for each in answer["records"]] == [
        {
            "attributes": {"type": "Account", "url": f"{DATA}/sobjects/Account/{account_id}"},
            "Name": "O'Hara & Söhne",
        },
        None,
    ]
    assert (answer["totalSize"], answer["done"]) == (2, True)


def test_count_answers_a_number_alone(sf: Force) -> None:
    assert sf.query("SELECT COUNT() FROM Contact").json() == {"totalSize": 4, "done": True, "records": []}


def test_query_all_sees_what_was_deleted(sf: Force) -> None:
    text = "SELECT LastName, IsDeleted FROM Contact WHERE LastName = 'Gone'"
    assert sf.query(text).json()["records"] == []
    (gone,) = sf.query(text, every=True).json()["records"]
    assert gone["IsDeleted"] is True


def test_dates_and_numbers_compare_as_such(sf: Force) -> None:
    for where in ("CloseDate = 2026-05-01", "CloseDate < 2026-05-02", "Amount = 10", "IsWon = true", "Amount <= 10.0"):
        assert len(sf.found(f"SELECT Id FROM Opportunity WHERE {where}")) == 1, where
    assert sf.found("SELECT Id FROM Opportunity WHERE CloseDate > 2026-05-01") == []


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("SELECT Nope FROM Contact", "INVALID_FIELD", "No such column 'Nope' on entity 'Contact'"),
        ("SELECT Id FROM Contact WHERE Nope = 1", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT Id FROM Contact WHERE Nope.Name = 'x'", "INVALID_FIELD", "Didn't understand relationship 'Nope'"),
        ("SELECT Id FROM Unicorn", "INVALID_TYPE", "sObject type 'Unicorn' is not supported"),
        (
            "SELECT Id FROM Contact WHERE Description LIKE '%x%'",
            "INVALID_FIELD",
            "field 'Description' can not be filtered in a query call",
        ),
        ("SELECT Id FROM Contact ORDER BY Description", "INVALID_FIELD", "can not be sorted"),
        ("SELECT Id FROM Contact WHERE LastName = 7", "INVALID_FIELD", "must be of type string"),
        ("SELECT Id FROM Account WHERE NumberOfEmployees = '7'", "INVALID_FIELD", "should not be enclosed in quotes"),
        ("SELECT Id FROM Contact WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: x"),
        ("SELECT Id FROM Contact WHERE DoNotCall > false", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator"),
        ("SELECT Id FROM Account WHERE NumberOfEmployees LIKE '7'", "INVALID_QUERY_FILTER_OPERATOR", "LIKE"),
        ("SELECT Id, id FROM Contact", "MALFORMED_QUERY", "duplicate field selected"),
        ("SELECT FROM Contact", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id", "MALFORMED_QUERY", "<EOF>"),
        ("SELECT Id FROM Contact WHERE LastName = 'x", "MALFORMED_QUERY", "no viable alternative"),
        ("SELECT Id FROM Contact WHERE LastName = 'a\\q'", "MALFORMED_QUERY", "Illegal escape sequence"),
        ("SELECT Id FROM Contact WHERE LastName IN ()", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Contact WHERE LastName = 'a' AND Id != null OR Email = null", "MALFORMED_QUERY", "OR"),
        ("SELECT Id FROM Contact LIMIT 1.5", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Contact WHERE LastName = 'a' nonsense", "MALFORMED_QUERY", "nonsense"),
        ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset"),
        ("", "MALFORMED_QUERY", "<EOF>"),
    ],
)
def test_a_statement_that_is_wrong_is_refused(sf: Force, text: str, code: str, told: str) -> None:
    status, given, message = error(sf.query(text))
    assert (status, given) == (400, code)
    assert told in message


def test_a_statement_may_be_long_but_not_its_address(sf: Force) -> None:
    addresses = ",".join(f"'person-{number}@example.com'" for number in range(400))
    assert sf.found(f"SELECT Id FROM Contact WHERE Email IN ({addresses})") == []
    response = sf.query(f"SELECT Id FROM Contact WHERE Email IN ({','.join([addresses] * 2)})")
    assert (response.status_code, "URI Too Long" in response.text) == (414, True)


def test_long_answers_come_in_pages() -> None:
    with force(Salesforce()) as sf:
        for number in range(401):
            sf.org.create("Contact", LastName=f"P{number}")
        answer = sf.call(
            "GET",
            "query",
            params={"q": "SELECT LastName FROM Contact"},
            headers={"Sforce-Query-Options": "batchSize=200"},
        ).json()
        seen = [each["LastName"] for each in answer["records"]]
        assert (answer["totalSize"], answer["done"], len(seen)) == (401, False, 200)
        while not answer["done"]:
            path = answer["nextRecordsUrl"].removeprefix(f"{DATA}/")
            answer = sf.call("GET", path, headers={"Sforce-Query-Options": "batchSize=200"}).json()
            seen += [each["LastName"] for each in answer["records"]]
        assert seen == [f"P{number}" for number in range(401)]
        assert len(sf.found("SELECT Id FROM Contact")) == 401
        assert error(sf.call("GET", "query/01gnonsense-2000"))[:2] == (400, "INVALID_QUERY_LOCATOR")


def test_what_was_written_is_found_at_once_and_what_was_taken_back_is_not() -> None:
    with force(Salesforce()) as sf:
        text = "SELECT Id FROM Contact WHERE Email IN ('a@example.com')"
        assert sf.found(text) == []
        contact = sf.org.create("Contact", LastName="A", Email="a@example.com")
        assert sf.found(text) == [{"Id": contact}]
        sf.org.update("Contact", contact, Email="b@example.com")
        assert sf.found(text) == []
        sf.insert("Contact", {"LastName": "B", "Email": "a@example.com"}, {}, allOrNone=True)
        assert sf.found(text) == []
