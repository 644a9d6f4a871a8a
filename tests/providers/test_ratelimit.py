from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.ratelimit import DAY, LONGEST_WAIT, UNNAMED_POLICY, policy_wait, retry_after

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 12:01:00 -0000", 60.0),
        ("Sun, 22 Nov 2026 11:59:00 GMT", 0.0),
        ("99999999999", LONGEST_WAIT),
        ("Sun, 22 Nov 2099 11:59:00 GMT", LONGEST_WAIT),
    ],
)
def test_a_wait_is_read_as_seconds_or_as_a_date_and_bounded(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, now=NOON) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "nan", "²", "12:00"])
def test_an_unreadable_wait_is_no_wait(text: str) -> None:
    assert retry_after({"retry-after": text}, now=NOON) is None


def test_an_absent_header_is_no_wait() -> None:
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        ("TEN_SECONDLY_ROLLING", 10.0),
        ("SECONDLY", 1.0),
        ("DAILY", DAY / 2),
        ("daily", DAY / 2),
        ("SOMETHING_NEW", UNNAMED_POLICY),
        (None, UNNAMED_POLICY),
    ],
)
def test_a_policy_says_how_long_to_wait(policy: str | None, seconds: float) -> None:
    assert policy_wait(policy, now=NOON) == seconds
