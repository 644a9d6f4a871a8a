"""How far the tests look that ask for anything: a little in each run, the same each time; deeper on request.

`--hypothesis-profile=prove` looks twenty times as far, at random; CRM_SYNC_FUZZ_EXAMPLES=5000 as far as it says.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

DEEPER = 20


def looking(examples: int) -> settings:
    """Settings for a test that tries so many examples in `make test`."""
    asked, is_deep = os.environ.get("CRM_SYNC_FUZZ_EXAMPLES"), settings.get_current_profile_name() == "prove"
    return settings(
        max_examples=int(asked) if asked else examples * (DEEPER if is_deep else 1),
        deadline=None,
        derandomize=not (asked or is_deep),
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
