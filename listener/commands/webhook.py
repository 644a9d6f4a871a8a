"""The command that tries the webhook."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import click

from listener.commands.base import fail
from listener.errors import EX_CONFIG, EX_UNAVAILABLE, Refusal
from listener.settings import webhook_settings
from providers import webhook
from providers.base import open_http

NOT_CONFIGURED = "CRM_SYNC_WEBHOOK_URL and CRM_SYNC_WEBHOOK_SECRET are not set: messages about alerts go nowhere."


@click.command("test-webhook")
def test_webhook() -> None:
    """Send one signed message of the type webhook.test now, and print the status of the answer.

    Example: CRM_SYNC_WEBHOOK_URL=https://alerts.example.com/crm-sync CRM_SYNC_WEBHOOK_SECRET_FILE=secret crm-sync
    test-webhook
    """
    try:
        settings = webhook_settings()
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    if settings.webhook_url is None:
        fail(NOT_CONFIGURED, EX_CONFIG)
    message_id = str(uuid4())
    answer = asyncio.run(_send(settings.webhook_url, settings.webhook_keys, message_id))
    if answer.problem is not None:
        fail(answer.problem, EX_UNAVAILABLE)
    click.echo(f"delivered: HTTP {answer.status}, webhook-id {message_id}, signatures: {len(settings.webhook_keys)}")


async def _send(url: str, keys: tuple[bytes, ...], message_id: str) -> webhook.Answer:
    payload = {
        "type": "webhook.test",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "data": {"words": "This is a test of pg-crm-sync's webhook.", "remedy": "Nothing: it works."},
    }
    async with open_http(1) as http:
        return await webhook.send(url, keys, message_id, json.dumps(payload).encode(), http)
