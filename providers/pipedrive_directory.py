"""Who is in Pipedrive already: by reading its lists where that is cheap, else by searching.

A page of 500 records costs 10 tokens, a search for one costs 20, and the search index lags behind the writes. So a list
is read while it is not longer than is worth it; in a larger account, what changed of late is listed, which is where
a write of unknown fate or of another daemon would be, and only the rest is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from providers.batches import run_each
from providers.errors import Contended, Rejected
from providers.models import CLOCK_SKEW, AnyDocument
from providers.pipedrive_schema import Kind
from providers.pipedrive_values import Record, canonical, custom_of
from providers.pipedrive_wire import WIDTH, Wire

NAMES_A_PAGE = 4
"""One page is read for so many wanted records at least; a single page always."""
INDEX_LAG = timedelta(minutes=15)
RECENT_PAGES = 4
"""Of what changed of late, where no write is in doubt."""


@dataclass(eq=False)
class Wanted:
    """A record that may be there: under our key, else under its term (an e-mail address, a name).

    Attributes:
        documents: who wants it.
        key: ours.
        term: as it is searched for.
        found: the records that fit, each once.
        is_ours: one of them carries our key.
        is_uncertain: we may have made it without hearing of it.
        since: if so, not before this moment; None when that is not known.
    """

    key: str
    term: str
    documents: list[AnyDocument]
    found: dict[str, Record] = field(default_factory=dict)
    is_ours: bool = False

    @property
    def is_uncertain(self) -> bool:
        return any(document.uncertain for document in self.documents)

    @property
    def since(self) -> datetime | None:
        queued = [document.queued_at for document in self.documents if document.uncertain]
        return min((moment for moment in queued if moment is not None), default=None) if all(queued) else None


class Directory:
    """Finds records of one kind. `sizes` outlives the push: how many pages each list is known to exceed.

    `terms_of` gives the folded terms that a record answers to, `fold` folds a wanted one; `names` are the custom fields
    that the records shall come with.
    """

    def __init__(
        self,
        wire: Wire,
        kind: Kind,
        sizes: dict[str, int],
        fold: Callable[[str], str],
        terms_of: Callable[[Record], Iterable[str]],
        names: Iterable[str] = (),
    ) -> None:
        self._wire = wire
        self._kind = kind
        self._sizes = sizes
        self._fold = fold
        self._terms_of = terms_of
        self._names = tuple(names)

    async def find(self, wanted: Sequence[Wanted]) -> None:
        """Fill in `found`; a search that is refused fails its documents in the report."""
        if not wanted:
            return
        room = max(1, len(wanted) // NAMES_A_PAGE)
        if self._sizes.get(self._kind.path, 0) < room:
            if await self._scan(wanted, {"sort_by": "id", "sort_direction": "asc"}, room):
                return
            self._sizes[self._kind.path] = room
        await self._scan_recent([each for each in wanted if not each.is_ours])
        # Of those found by their term only, an older one may be there.
        await self._search([each for each in wanted if not each.is_ours])

    async def _scan_recent(self, wanted: Sequence[Wanted]) -> None:
        if not wanted:
            return
        doubtful = [each for each in wanted if each.is_uncertain]
        starts = [each.since - CLOCK_SKEW for each in doubtful if each.since is not None]
        since = min([datetime.now(UTC) - INDEX_LAG, *starts])
        params = {"sort_by": "id", "sort_direction": "desc"}
        if len(starts) == len(doubtful):
            params["updated_since"] = moment(since)
        # What is in doubt has to be found wherever it is; for the others this is only what the index may not have yet.
        await self._scan(wanted, params, None if doubtful else RECENT_PAGES)

    async def _scan(self, wanted: Sequence[Wanted], params: Mapping[str, str], room: int | None) -> bool:
        """Compare a list with what is wanted; returns whether the whole list was read."""
        key = self._wire.schema.key(self._kind)
        by_key = {each.key: each for each in wanted}
        by_term: dict[str, list[Wanted]] = {}
        for each in wanted:
            by_term.setdefault(self._fold(each.term), []).append(each)
        async for records, is_last in self._wire.pages(self._kind, params, self._names, room=room):
            for record in records:
                for each in (each for term in self._terms_of(record) for each in by_term.get(term, ())):
                    each.found[str(record["id"])] = record
                ours = by_key.get(canonical(custom_of(record).get(key)) or "")
                if ours is not None:
                    ours.found[str(record["id"])] = record
                    ours.is_ours = True
            if is_last:
                return True
            if params.get("sort_direction") == "desc" and all(each.is_ours for each in wanted):
                return False
        return False

    async def _search(self, wanted: Sequence[Wanted]) -> None:
        ids: dict[str, list[Wanted]] = {}

        async def search(each: Wanted) -> None:
            try:
                found = await self._wire.search(self._kind, each.term)
            except (Rejected, Contended) as error:
                for document in each.documents:
                    self._wire.report.failed(document, error)
                return
            for record_id in found:
                ids.setdefault(record_id, []).append(each)

        await run_each(wanted, search, WIDTH)
        # What the index says may be old: the records themselves decide.
        for record_id, record in (await self._wire.by_ids(self._kind, ids, self._names)).items():
            terms = set(self._terms_of(record))
            for each in ids.get(record_id, ()):
                if self._fold(each.term) in terms:
                    each.found[record_id] = record

    def pick(self, wanted: Wanted) -> tuple[Record | None, str | None]:
        """The record to take, and a remark when there was a choice: the one with our key, else the oldest."""
        if not wanted.found:
            return None, None
        key = self._wire.schema.key(self._kind)
        ours = {
            record_id: record
            for record_id, record in wanted.found.items()
            if canonical(custom_of(record).get(key)) == wanted.key
        }
        record = min((ours or wanted.found).values(), key=lambda each: int(each["id"]))
        if len(wanted.found) == 1 or ours:
            return record, None
        return record, (
            f"Pipedrive has {len(wanted.found)} records of the same {self._kind.search_field}: "
            f"the oldest of them, {record['id']}, was taken"
        )


def moment(time: datetime) -> str:
    """As RFC 3339 in UTC, in whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
