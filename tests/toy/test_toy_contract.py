"""What every CRM's client must do, the toy's does too: the suite needs nothing but a module and its samples."""

from __future__ import annotations

import inspect

from tests.providers import test_contract

globals().update(
    (name, test)
    for name, test in vars(test_contract).items()
    if name.startswith("test_") and "sample" in inspect.signature(test).parameters
)
