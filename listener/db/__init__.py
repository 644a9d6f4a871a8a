"""The daemon's database: one method is one SQL function is one transaction; no other SQL text is in the daemon.

The calls lie by their subject in the modules of this package; who talks to the database is handed all of them.
"""

from __future__ import annotations

from listener.db.alerts import AlertCalls
from listener.db.connecting import ConnectionCalls
from listener.db.credentials import CredentialCalls
from listener.db.figures import FigureCalls
from listener.db.housekeeping import HousekeepingCalls
from listener.db.presence import PresenceCalls
from listener.db.queue import QueueCalls


class Database(
    PresenceCalls,
    QueueCalls,
    CredentialCalls,
    ConnectionCalls,
    AlertCalls,
    HousekeepingCalls,
    FigureCalls,
):
    """The worker's functions, and the console's: what they raise is a `Refusal` of ours or `DatabaseTrouble`."""

    async def schema_version(self) -> int | None:
        answer: int | None = await self._value("select crm_sync.schema_version()")
        return answer

    async def check_fence(self, generation: int | None) -> int:
        """The generation of the claim on this database; raises `Fenced` where we must not work."""
        answer: int = await self._value("select crm_sync.check_fence($1)", generation)
        return answer
