"""SQLSTATEs of crm_sync, and what the command says and exits with."""

from __future__ import annotations

EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CONFIG = 78


class Refusal(Exception):
    """The daemon will not start or go on; the message says why and what to do.

    Attributes:
        exit_status: from sysexits: 69 when waiting may help, 78 when a human must change something.
    """

    def __init__(self, message: str, hint: str | None = None, exit_status: int = EX_CONFIG) -> None:
        super().__init__(message if hint is None else f"{message}\n{hint}")
        self.exit_status = exit_status


class DatabaseTrouble(Exception):
    """A call to Postgres that did not succeed; it may or may not have been committed.

    Its words name the kind of error only: the server's own may quote a person's data.

    Attributes:
        is_lost: the connection or the server went away; otherwise the server is there and said no.
    """

    def __init__(self, error: BaseException, *, is_lost: bool) -> None:
        sqlstate = getattr(error, "sqlstate", None)
        super().__init__(type(error).__name__ + (f" ({sqlstate})" if sqlstate else ""))
        self.is_lost = is_lost


class DatabaseUnreachable(Refusal):
    """No connection to Postgres could be made."""


class SchemaTooOld(Refusal):
    """The database was not migrated to what this version needs."""

    def __init__(self, message: str, hint: str | None = None, exit_status: int = EX_CONFIG) -> None:
        super().__init__(message, hint or "Run: crm-sync migrate", exit_status)


class KeyMissing(Refusal):
    """CS001, CS002: no encryption key, or one that is too short."""


class KeyWrong(Refusal):
    """CS004: credentials were sealed with a key that we do not have."""


class CredentialsDamaged(Refusal):
    """CS005: sealed credentials were changed, or belong to another connection."""


class Fenced(Refusal):
    """CS030, CS031: this database is a copy of the one that may write to the CRMs, or was claimed since we started."""


class InvalidSettings(Refusal):
    """Something that was written or asked for makes no sense; REFUSAL_BY_SQLSTATE lists the codes."""


class NotYours(Refusal):
    """CS021, CS040, CS061: the object does not exist or belongs to somebody else."""


REFUSAL_BY_SQLSTATE: dict[str, type[Refusal]] = {
    "CS001": KeyMissing,
    "CS002": KeyMissing,
    "CS003": InvalidSettings,
    "CS004": KeyWrong,
    "CS005": CredentialsDamaged,
    "CS010": InvalidSettings,
    "CS012": InvalidSettings,
    "CS013": InvalidSettings,
    "CS020": InvalidSettings,
    "CS021": NotYours,
    "CS060": InvalidSettings,
    "CS061": NotYours,
    "CS062": InvalidSettings,
    "CS030": Fenced,
    "CS031": Fenced,
    "CS040": NotYours,
    "CS041": InvalidSettings,
    "CS042": InvalidSettings,
    "CS054": InvalidSettings,
    "CS055": InvalidSettings,
    "CS056": InvalidSettings,
    "CS057": InvalidSettings,
    "CS058": InvalidSettings,
    "CS059": InvalidSettings,
    "CS070": InvalidSettings,
    "CS071": InvalidSettings,
    "CS072": InvalidSettings,
    "CS073": InvalidSettings,
    "CS074": InvalidSettings,
    "CS075": InvalidSettings,
    "CS090": SchemaTooOld,
    "CS091": InvalidSettings,
    "CS092": InvalidSettings,
    "CS093": InvalidSettings,
    "CS094": InvalidSettings,
    "3F000": SchemaTooOld,
    "42883": SchemaTooOld,
}
