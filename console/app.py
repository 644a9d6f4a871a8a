"""The console as one ASGI app: which path leads where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console import api, failures, health, metrics, signin
from console.context import FOLDER, Console
from console.guard import Guard
from console.pages import activity, contacts, dashboard, erasure, events, integration, integrations, person, sync
from console.pages import failures as failing
from console.ratelimit import Rate
from console.settings import ConsoleSettings

LIMITED = (("/api/integrations/", Rate(30, 60)), ("/integrations/connect", Rate(30, 60)), ("/sign-in", Rate(60, 60)))
"""Paths that reach out to a CRM or decide who somebody is, by caller's address."""

ACTIONS = {
    "pause": integrations.pause,
    "resume": integrations.resume,
    "disconnect": integrations.disconnect,
    "try-again": integrations.try_again,
    "test": integrations.test,
    "sync": integrations.sync_now,
    "adopt": integrations.adopt,
}
INTEGRATIONS = (
    Route("/integrations", integrations.show),
    Route("/integrations/live", integrations.live),
    Route("/integrations/connect", integrations.connect, methods=["POST"]),
    Route("/integrations/{id:int}", integration.show),
    Route("/integrations/{id:int}/settings", integration.save_settings, methods=["POST"]),
    Route("/integrations/{id:int}/mappings", integration.save_mappings, methods=["POST"]),
    Route("/integrations/{id:int}/filters", integration.save_filters, methods=["POST"]),
    Route("/integrations/{id:int}/documents", integration.save_documents, methods=["POST"]),
    *(
        Route(f"/integrations/{{id:int}}/{name}", integrations.acting(action), methods=["POST"])
        for name, action in ACTIONS.items()
    ),
)

Opening = Callable[[], AbstractAsyncContextManager[Console]]


def create_app(settings: ConsoleSettings, opening: Opening) -> Starlette:
    """`opening` makes the console when the server starts, and ends it when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opening() as console:
            app.state.console = console
            yield

    pages = [
        *dashboard.ROUTES,
        *contacts.ROUTES,
        *person.ROUTES,
        *erasure.ROUTES,
        *activity.ROUTES,
        *failing.ROUTES,
        *sync.ROUTES,
        *events.ROUTES,
        *INTEGRATIONS,
        *api.ROUTES,
        *signin.ROUTES,
        *health.ROUTES,
        *metrics.ROUTES,
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    figures = metrics.Metrics()
    app = Starlette(
        routes=[Mount(settings.base_path, routes=pages)] if settings.base_path else pages,
        middleware=[
            Middleware(metrics.Measure, metrics=figures),
            Middleware(Guard, settings=settings, limited=LIMITED),
            Middleware(failures.Catch),
        ],
        exception_handlers=failures.HANDLERS,
        lifespan=lifespan,
    )
    app.state.metrics = figures
    return app
