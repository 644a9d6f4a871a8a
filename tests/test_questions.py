"""docs/questions.md: each question is one SELECT that a reader may ask, and it has an answer."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from docs.questions import Question, questions
from docs.scene import GIVEN, scene
from tests.postgres import TestServer


@pytest.fixture(scope="module")
def night(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database in which the night of the page has happened, with a daemon that is alive."""
    url = postgres.create_database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select crm_sync.claim_database()")  # a copy does not send by itself
    with scene(url):
        yield url
    postgres.drop_database(url)


def test_there_are_at_least_twenty_questions() -> None:
    assert len({question.title for question in questions()}) >= 20


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.title)
def test_a_reader_is_answered_by_one_select(night: str, question: Question) -> None:
    with psycopg.connect(night) as connection:
        connection.execute("set transaction read only")
        connection.execute("set local role crm_sync_reader")
        connection.execute("set local statement_timeout = '5s'")
        # as a cursor's query it can only be one SELECT
        declared = f"declare asked cursor for {question.statement}".encode()
        connection.execute(declared, GIVEN if question.parameters else None)
        cursor = connection.execute("fetch all from asked")
        assert cursor.description is not None
        assert cursor.fetchall()
