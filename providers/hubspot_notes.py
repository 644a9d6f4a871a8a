"""Activities as notes on the timeline, which follow what is said of their message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from providers.hubspot_errors import is_gone
from providers.hubspot_rows import Record, Row
from providers.hubspot_timeline import LONGEST_BODY, TIME, Timeline, moment
from providers.models import ActivityDocument
from providers.notes import note_html


class Notes(Timeline[ActivityDocument]):
    """One push of activity documents."""

    object_type = "notes"
    noun = "note"
    body = "hs_note_body"
    to_contact = 202
    to_company = 190

    def properties(self, document: ActivityDocument) -> dict[str, str]:
        return {TIME: moment(document.occurred_at), self.body: note_html(document, LONGEST_BODY)}

    async def settle(self, known: Sequence[tuple[str, str | None, ActivityDocument]]) -> None:
        """A message may have been classified again since: the note gets the text of today."""
        by_id: dict[str, list[ActivityDocument]] = defaultdict(list)
        for note_id, held, document in known:
            if held == note_html(document, LONGEST_BODY):
                self._report.synced(document, note_id)
            else:
                by_id[note_id].append(document)
        rows = [
            Row(note_id, {self.body: note_html(sharing[-1], LONGEST_BODY)}, tuple(sharing))
            for note_id, sharing in by_id.items()
        ]
        async for row, result in self._wire.write(self.object_type, "update", rows):
            for document in by_id[row.key]:
                if isinstance(result, Record):
                    self._report.synced(document, row.key)
                elif is_gone(result):
                    # Somebody took it off the timeline: writing it again would overrule a person.
                    self._report.synced(document, row.key, remark="the note was deleted in HubSpot and stays deleted")
                else:
                    self._report.failed(document, result)
