"""What a person is to do, as a task in HubSpot's task list."""

from __future__ import annotations

from collections.abc import Sequence

from providers.hubspot_timeline import LONGEST_BODY, TIME, Timeline, moment
from providers.models import TaskDocument
from providers.notes import LONGEST_SUBJECT, task_html

STATUS = "NOT_STARTED"
TYPE = "TODO"


class Tasks(Timeline[TaskDocument]):
    """One push of task documents."""

    object_type = "tasks"
    noun = "task"
    body = "hs_task_body"
    to_contact = 204
    to_company = 192

    def properties(self, document: TaskDocument) -> dict[str, str]:
        return {
            TIME: moment(document.due_at),
            "hs_task_subject": (document.subject.strip() or "(no subject)")[:LONGEST_SUBJECT],
            self.body: task_html(document, LONGEST_BODY),
            "hs_task_status": STATUS,
            "hs_task_priority": "HIGH" if document.is_urgent else "MEDIUM",
            "hs_task_type": TYPE,
        }

    async def settle(self, known: Sequence[tuple[str, str | None, TaskDocument]]) -> None:
        """People work with it from the moment it is there: it stays as they leave it, deleted too."""
        for task_id, _, document in known:
            self._report.synced(document, task_id)
