"""The console as one ASGI app: which path leads where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console import failures, health, signin
from console.context import FOLDER, Console
from console.guard import Guard
from console.pages import activity, contacts, dashboard, events, sync
from console.pages import failures as failing
from console.ratelimit import Rate
from console.settings import ConsoleSettings

LIMITED = (("/api/integrations/", Rate(30, 60)), ("/sign-in", Rate(60, 60)))
"""Paths that reach out to a CRM or decide who somebody is, by caller's address."""

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
        *activity.ROUTES,
        *failing.ROUTES,
        *sync.ROUTES,
        *events.ROUTES,
        *signin.ROUTES,
        *health.ROUTES,
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    return Starlette(
        routes=[Mount(settings.base_path, routes=pages)] if settings.base_path else pages,
        middleware=[Middleware(Guard, settings=settings, limited=LIMITED)],
        exception_handlers=failures.HANDLERS,
        lifespan=lifespan,
    )
