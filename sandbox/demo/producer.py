"""A service that classifies replies: it knows one table, one role and nothing of CRMs.

Reads classifications from stdin, a JSON object a line, and inserts each with a plain one-row INSERT, committed at once.
PRODUCER_DATABASE_URL says where.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

import psycopg

INSERT = """
insert into message_classifications
  (id, message_id, intent, sentiment, priority, requires_human_attention, next_action, confidence)
values
  (%(id)s, %(message_id)s, %(intent)s, %(sentiment)s, %(priority)s, %(requires_human_attention)s, %(next_action)s,
   %(confidence)s)
"""


def produce(url: str, lines: TextIO) -> int:
    """Insert what `lines` says; returns how many rows."""
    count = 0
    with psycopg.connect(url, autocommit=True, application_name="reply classifier") as connection:
        for line in lines:
            connection.execute(INSERT, json.loads(line))
            count += 1
    return count


if __name__ == "__main__":
    print(f"inserted {produce(os.environ['PRODUCER_DATABASE_URL'], sys.stdin)} classifications", flush=True)
