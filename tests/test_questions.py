"""docs/questions.md: each question is one SELECT that a reader may ask, and it has an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from docs.questions import Question, questions
from docs.scene import scene
from sql.migrate import migrate
from tests.postgres import TestServer

PAGE = Path(__file__).parent.parent / "docs" / "questions.md"


@pytest.fixture(scope="module")
def night(postgres: TestServer) -> Iterator[str]:
    """URL of a database in which the night of the page has happened, with a daemon that is alive."""
    url = postgres.create_database()
    migrate(url)
    with scene(url):
        yield url
    postgres.drop_database(url)


def test_there_are_at_least_twenty_questions() -> None:
    assert len({question.title for question in questions(PAGE)}) >= 20


@pytest.mark.parametrize("question", questions(PAGE), ids=lambda question: question.title)
def test_a_reader_is_answered_by_one_select(night: str, question: Question) -> None:
    with psycopg.connect(night) as connection:
        connection.execute("set transaction read only")
        connection.execute("set local role crm_sync_reader")
        connection.execute("set local statement_timeout = '5s'")
        # a prepared statement is one statement, whatever its text holds
        connection.execute(b"prepare asked as " + question.sql.strip().rstrip(";").encode())
        cursor = connection.execute("execute asked")
        assert cursor.description is not None
        assert cursor.fetchall()
