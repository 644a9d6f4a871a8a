"""Logs: a constant event and fields; JSON unless a person is watching, with its priority for the journal.

Never a token, never a person's data.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from typing import Any

import structlog

from listener.journal import is_journal, prefixed, visible
from listener.settings import Settings

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

log = structlog.get_logger()


def configure(settings: Settings) -> None:
    """Set structlog up for this process, and let what others log through Python's own logging pass only in part."""
    processors = _renderers(settings.log_format)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *processors,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.log_level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Redacting()], force=True)
    # at lower levels, and asked for or not, these print URLs, headers and bind parameters
    for name in ("httpx", "httpcore", "asyncpg", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    """What makes a line: JSON, or JSON with its priority before it where the journal reads, or words for people."""
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "journal" if is_journal(sys.stderr) else "json"
    if log_format == "text":
        return [_without_signs, structlog.dev.ConsoleRenderer()]
    if log_format == "journal":
        as_json = structlog.processors.JSONRenderer()

        def line(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
            return prefixed(str(event["level"]), str(as_json(logger, name, event)))

        return [line]
    return [structlog.processors.JSONRenderer()]


def _without_signs(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """JSON escapes what steers a terminal, the words for people do not."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}


def places(error: BaseException) -> list[str]:
    """Where an error came from, outermost first: all that may be told of one whose words nobody has vetted."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def on_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no code of ours waited for."""
    error = context.get("exception")
    if error is None:
        log.error("loop_error")
    else:
        log.error("loop_error", error=type(error).__name__, places=places(error))


class _Redacting(logging.Handler):
    """Says who logged, where and what kind of error; the words themselves may quote anything."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, Any] = {} if error is None else {"error": type(error).__name__, "places": places(error)}
        log.log(
            record.levelno, "library_said", logger=record.name, place=f"{record.pathname}:{record.lineno}", **fields
        )
