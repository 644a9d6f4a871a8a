"""What every process of ours shows to Prometheus in the same way; the console uses it for its own metrics as well.

Imported only where metrics are asked for: prometheus_client costs memory.
"""

from __future__ import annotations

import platform

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from listener import __version__


def open_registry(component: str) -> CollectorRegistry:
    """A registry of our own with what is said of every process: its build, its memory, processor time and files.

    `component` is `daemon` or `console`.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series of every counter and say nothing that anybody asks
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Gauge(
        "crm_sync_build_info",
        "Always 1; the labels say what runs here.",
        ("component", "version", "python"),
        registry=registry,
    ).labels(component, __version__, platform.python_version()).set(1)
    return registry


def expose(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The registry in Prometheus' text format, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
