"""The pages of a daemon's process as Prometheus and probes see them."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.listener.daemons import Process

LISTEN = {"CRM_SYNC_METRICS_LISTEN": "127.0.0.1:0"}
"""Of a daemon that serves its pages at a port that is free."""


@dataclass(frozen=True)
class Said:
    status: int
    text: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics: samples by name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """Of the one sample with exactly these labels; 0 where there is none."""
        return self.samples.get((f"crm_sync_{name}", frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """Of all samples that have these labels."""
        wanted = labels.items()
        return sum(
            value for (each, found), value in self.samples.items() if each == f"crm_sync_{name}" and wanted <= found
        )

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """The samples above zero that have these labels, by another one."""
        found: dict[str, float] = {}
        for (each, pairs), value in self.samples.items():
            if each == f"crm_sync_{name}" and labels.items() <= pairs and value:
                found[dict(pairs)[label]] = found.get(dict(pairs)[label], 0.0) + value
        return found

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}


def port_of(running: Process) -> int:
    """Where a daemon serves its pages; it has said so before it is ready."""
    port: int = running.events("metrics_listening")[0]["port"]
    return port


def get(port: int, path: str, method: str = "GET") -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return Said(response.status, response.read().decode(), {k.lower(): v for k, v in response.getheaders()})
    finally:
        connection.close()


def scrape(port: int) -> Scrape:
    said = get(port, "/metrics")
    assert said.status == 200, said.text
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(said.text)
            for sample in family.samples
        }
    )
