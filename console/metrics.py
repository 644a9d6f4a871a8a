"""What the console counts, for Prometheus; no tenant, user or connection is named."""

from __future__ import annotations

import hmac
import time

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.context import console_of
from console.identity import bearer_token
from console.settings import LOOPBACK
from listener import __version__

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """One console's figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "crm_sync_console_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "crm_sync_console_request_seconds",
            "How long answers took to begin.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.limited = Counter(
            "crm_sync_console_rate_limited", "Requests refused for coming too often.", registry=self.registry
        )
        self.refused_sign_ins = Counter(
            "crm_sync_console_refused_sign_ins", "Tokens that did not count.", ("reason",), registry=self.registry
        )
        self.departures = Counter(
            "crm_sync_console_oauth_departures",
            "People sent to a CRM to consent.",
            ("provider",),
            registry=self.registry,
        )
        self.returns = Counter(
            "crm_sync_console_oauth_returns",
            "People who came back from a CRM, by what came of it: connected, or why not.",
            ("provider", "outcome"),
            registry=self.registry,
        )
        version = Gauge("crm_sync_console_info", "This version.", ("version",), registry=self.registry)
        version.labels(__version__).set(1)


class Measure:
    """ASGI middleware around everything, the guard included."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # when the answer begins: a stream of events goes on for hours
                route, status = _route_of(scope), message["status"]
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._metrics.requests.labels(route, method, str(status)).inc()
                self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
                if status == 429:
                    self._metrics.limited.inc()
            await send(message)

        await self._app(scope, receive, noted)


async def show(request: Request) -> Response:
    """The figures, for a scraper with the token, or, without one, for this machine alone."""
    if not _may_scrape(request):
        return PlainTextResponse("Not here\n", 404)
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _may_scrape(request: Request) -> bool:
    wanted = console_of(request).settings.metrics_token
    if wanted is not None:
        given = bearer_token(request.headers) or ""
        return hmac.compare_digest(given.encode(), wanted.get_secret_value().encode())
    host = request.client.host if request.client else ""
    # what came through a proxy, or from a page in somebody's browser, comes from elsewhere
    asked = request.state.asked_host.rpartition(":")[0].strip("[]") or request.state.asked_host
    return host in LOOPBACK and asked in LOOPBACK and not any(name in request.headers for name in FORWARDED)


def _route_of(scope: Scope) -> str:
    """The route's pattern: paths themselves have no end, and name what is asked for."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    if path is None:
        return "none"
    return str(path) or "/"


ROUTES = [Route("/metrics", show)]
