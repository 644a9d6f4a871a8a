"""Credentials as host applications write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from providers.credentials import Credentials


@pytest.mark.parametrize(
    "written",
    [1_798_675_200, 1_798_675_200_000, "1798675200", "2026-12-31T00:00:00Z", "2026-12-31T01:00:00+01:00"],
)
def test_an_expiry_may_be_written_in_any_usual_way(written: object) -> None:
    assert Credentials.model_validate({"access_token": "t", "expires_at": written}).expires_at == 1_798_675_200


def test_an_expiry_that_is_no_time_is_refused_without_its_token() -> None:
    with pytest.raises(ValidationError) as refused:
        Credentials.model_validate({"access_token": "canary-token", "expires_at": "soon"})
    assert "canary-token" not in repr(refused.value.errors(include_input=False))
