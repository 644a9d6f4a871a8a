from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.models import Field, Policy

RANKS = (("NEW",), ("OPEN", "CONTACTED"), ("QUALIFIED",))


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("held", [None, ""])
def test_any_value_fills_a_blank(policy: Policy, held: str | None) -> None:
    assert Field(value="NEW", policy=policy, ranks=RANKS).may_replace(held)


@pytest.mark.parametrize("policy", list(Policy))
def test_a_value_never_replaces_itself(policy: Policy) -> None:
    assert not Field(value="OPEN", policy=policy, ranks=RANKS).may_replace("OPEN")


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("QUALIFIED", "NEW", True),
        ("CONTACTED", "OPEN", True),
        ("NEW", "QUALIFIED", False),
        ("OPEN", "QUALIFIED", False),
        ("QUALIFIED", "SET_BY_A_PERSON", False),
        ("QUALIFIED", "QUALIFIED", False),
    ],
)
def test_a_ranked_value_moves_forward_or_not_at_all(ours: str, theirs: str, expected: bool) -> None:
    assert Field(value=ours, policy=Policy.FORWARD_ONLY, ranks=RANKS).may_replace(theirs) is expected


@given(st.text(min_size=1), st.text(min_size=1))
def test_what_a_person_set_stays_where_ours_is_only_for_blanks(ours: str, theirs: str) -> None:
    assert not Field(value=ours, policy=Policy.IF_BLANK).may_replace(theirs)


@given(st.text(min_size=1), st.text(min_size=1))
def test_what_is_always_ours_replaces_anything_else(ours: str, theirs: str) -> None:
    assert Field(value=ours).may_replace(theirs) is (ours != theirs)
