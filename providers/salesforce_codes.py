"""Salesforce's codes, by what they mean to us whatever the status they come with."""

from __future__ import annotations

import re
from collections.abc import Mapping

BUSY = frozenset({"UNABLE_TO_LOCK_ROW", "ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED"})
DOWN = frozenset(
    {
        *("SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "API_CURRENTLY_DISABLED", "ORG_IN_MAINTENANCE", "SSO_SERVICE_DOWN"),
        *("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG"),
    }
)
LIMITED = frozenset({"REQUEST_LIMIT_EXCEEDED", "TOO_MANY_APEX_REQUESTS"})
FOR_PEOPLE: Mapping[str, str] = {
    "API_DISABLED_FOR_ORG": "this Salesforce edition, or the profile of this connection's user, has no API access: "
    "an administrator has to buy it or to give the permission API Enabled",
    "ORG_LOCKED": "Salesforce has locked this org: its administrator has to settle that with Salesforce",
    "TRIAL_EXPIRED": "this org's trial has ended",
    "ORG_NOT_OWNED_BY_INSTANCE": "this org has moved to another host: connect Salesforce again",
    "INVALID_LOGIN": "Salesforce does not let this connection's user log in: look at the user's login history",
    "PASSWORD_LOCKOUT": "this connection's user is locked out: an administrator has to unlock the user",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "the password of this connection's user has expired: set a new one, "
    "or give an integration user a password that never expires",
    "LOGIN_DURING_RESTRICTED_DOMAIN": "this machine's address is outside the IP ranges of this connection's user: "
    "an administrator has to allow it",
    "LOGIN_DURING_RESTRICTED_TIME": "it is outside the login hours of this connection's user",
    "CLIENT_NOT_ACCESSIBLE_FOR_USER": "this connection's user may not use the connected app: an administrator has to "
    "approve it",
    "STORAGE_LIMIT_EXCEEDED": "this org has no storage left: an administrator has to make room or buy more",
}
"""What only people can put right, for the whole connection, with what they have to do."""
OVERLOADED = re.compile(
    r"Too many (?:SOQL|DML|query|queueable|future)|CPU time limit|LIMIT_?EXCEEDED.*Apex|LimitException"
)
"""What an org's own triggers and flows say when one call has more records than they can take."""
GONE = frozenset(
    {
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        "MALFORMED_ID",
        "NOT_FOUND",
    }
)
"""A record is gone, or one that it was to refer to."""
CONVERTED = "CANNOT_UPDATE_CONVERTED_LEAD"
