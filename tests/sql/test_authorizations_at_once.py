"""The same state, or the same connection, from many sessions at once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.house import House
from tests.sql.daemon import connect
from tests.sql.test_authorizations import CONNECT, TOKEN, Browser


def at_once(count: int, database: str, browser: Browser, ask: Callable[[Browser], Any]) -> list[Any]:
    """What so many tabs of one browser are answered, each in a session of its own."""
    answers: list[Any] = []
    start = threading.Barrier(count)

    def come() -> None:
        with connect(database) as other:
            start.wait(30)
            answers.append(ask(browser.elsewhere(House(other))))

    threads = [threading.Thread(target=come) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == count
    return answers


def test_of_twenty_who_present_a_state_at_once_one_gets_it(house: House, database: str) -> None:
    browser = Browser(house, house.organization())
    left = browser.leave()
    outcomes = at_once(20, database, browser, lambda tab: tab.come_back(left)[0])
    assert Counter(outcomes) == {"ok": 1, "used": 19}


def test_ten_who_connect_at_once_make_one_connection(house: House, database: str) -> None:
    browser = Browser(house, house.organization())
    account = json.dumps({"id": "1"})
    made = at_once(
        10, database, browser, lambda tab: tab.ask(CONNECT, tab.organization, "hubspot", "default", TOKEN, account)
    )
    assert len({integration for integration, _, _ in made}) == 1
    assert sorted(is_new for _, is_new, _ in made) == [False] * 9 + [True]
    assert not any(is_other for _, _, is_other in made)
