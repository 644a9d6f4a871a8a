"""What holds for a whole org, or for the user who connected it: while it does, Salesforce answers accordingly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import HTMLResponse, Response

from sandbox.documented import PAGE
from sandbox.salesforce.documented import ERRORS
from sandbox.salesforce.errors import ApiError, OAuthError

CALLS: Mapping[str, str] = {
    "without API": "API_DISABLED_FOR_ORG",
    "without permission": "FORBIDDEN",
    "locked": "ORG_LOCKED",
    "trial over": "TRIAL_EXPIRED",
    "on another instance": "ORG_NOT_OWNED_BY_INSTANCE",
    "at another host": "ACCOUNT_MOVED",
    "user kept out": "INVALID_LOGIN",
    "user locked out": "PASSWORD_LOCKOUT",
    "password expired": "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
    "foreign address": "LOGIN_DURING_RESTRICTED_DOMAIN",
    "after hours": "LOGIN_DURING_RESTRICTED_TIME",
    "app not approved": "CLIENT_NOT_ACCESSIBLE_FOR_USER",
    "too many long calls": "CONCURRENT_LIMIT",
    "too many programs": "TOO_MANY_APEX_REQUESTS",
    "too busy": "SERVER_UNAVAILABLE",
    "slow queries": "QUERY_TIMEOUT",
    "slow programs": "REQUEST_RUNNING_TOO_LONG",
    "API off": "API_CURRENTLY_DISABLED",
    "in maintenance": "ORG_IN_MAINTENANCE",
    "single sign-on down": "SSO_SERVICE_DOWN",
    "feature off": "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE",
}
"""What each call is answered with."""
REFRESHES: Mapping[str, str] = {
    "user frozen": "AUTHENTICATION_FAILURE",
    "user deactivated": "inactive_user",
    "closed": "inactive_org",
}
"""What each refresh is answered with."""


@dataclass
class Standing:
    """How an org stands.

    Attributes:
        state: one of `CALLS` or `REFRESHES`; None when all is well.
        is_full: there is no storage left for a new record.
        read_only: objects that the user may read, but not write.
        hidden: ids of records that the user may not refer to.
        approvals: ids of records that an approval has locked.
        flows: objects with a flow that fails, and its words.
        filters: by object and reference, what says of the referred record's values that the lookup's filter refuses.
    """

    state: str | None = None
    is_full: bool = False
    read_only: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    approvals: set[str] = field(default_factory=set)
    flows: dict[str, str] = field(default_factory=dict)
    filters: dict[tuple[str, str], Callable[[Mapping[str, Any]], bool]] = field(default_factory=dict)

    def answer(self) -> Response | None:
        """What a call meets before anything else."""
        code = CALLS.get(self.state or "")
        if code is None:
            return None
        document = ERRORS[code]
        if document.page:
            return HTMLResponse(PAGE, document.status, dict(document.headers))
        body = ApiError(document.more.get("code", code), document.words).document()
        return Response(json.dumps(body), document.status, media_type="application/json;charset=UTF-8")

    def refuse_refresh(self) -> None:
        """Raises OAuthError while the user, or the org, gets no new session."""
        if (error := REFRESHES.get(self.state or "")) is not None:
            raise OAuthError(ERRORS[error].more.get("error", error), ERRORS[error].words)
