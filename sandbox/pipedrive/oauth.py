"""The OAuth endpoints: consent page, token and revocation."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.consent import NEW, PIPEDRIVE, new_name
from sandbox.pipedrive.company import Company
from sandbox.pipedrive.errors import OAuthError
from sandbox.pipedrive.wire import respond

if TYPE_CHECKING:
    from sandbox.pipedrive.emulator import Pipedrive

Form = dict[str, str]
ASKED = ("client_id", "redirect_uri", "state", "response_type", "scope")


class OAuth:
    """Handlers of one emulator's OAuth endpoints."""

    def __init__(self, pipedrive: Pipedrive) -> None:
        self.pipedrive = pipedrive

    async def token(self, request: Request) -> Response:
        return await self._form_call(request, self._token)

    async def revoke(self, request: Request) -> Response:
        return await self._form_call(request, self._revoke)

    async def ask(self, request: Request) -> Response:
        """The consent page; every parameter is checked here as it is again on approval."""
        try:
            asked = self._asked(dict(request.query_params))
        except OAuthError as error:
            return PIPEDRIVE.refuse(error.message)
        with self.pipedrive.lock:
            companies = [(company.number, company.name) for company in self.pipedrive.companies.values()]
        return PIPEDRIVE.ask(companies, asked, self.pipedrive.app_scopes)

    async def decide(self, request: Request) -> Response:
        """The consent page's buttons: back to the app with `code` and `state`, or with `error=user_denied`."""
        form = _pairs((await request.body()).decode(errors="replace"))
        try:
            asked = self._asked({name: form[name] for name in form if name not in ("decision", "company", "new_name")})
        except OAuthError as error:
            return PIPEDRIVE.refuse(error.message)
        back = {"state": asked["state"]} if "state" in asked else {}
        if form.get("decision") != "approve":
            return _back_to(asked["redirect_uri"], {"error": "user_denied", **back})
        with self.pipedrive.lock:
            company = self._chosen(form)
            if company is None:
                return PIPEDRIVE.refuse("There is no such company")
            company.scopes = self.pipedrive.app_scopes
            code = self.pipedrive.grants.grant_code(company, asked["redirect_uri"])
        return _back_to(asked["redirect_uri"], {"code": code, **back})

    def _chosen(self, form: Form) -> Company | None:
        """The company that a person chose, or opened by choosing."""
        chosen = form.get("company", "")
        if chosen == NEW:
            return self.pipedrive.open_company(name=new_name(form))
        return self.pipedrive.companies.get(int(chosen) if chosen.isdecimal() else -1)

    def _asked(self, given: Form) -> Form:
        if given.get("client_id") != self.pipedrive.client_id:
            raise OAuthError("invalid_client", "Invalid client: client is invalid")
        redirect, registered = given.get("redirect_uri", ""), self.pipedrive.redirect_uri
        if urlsplit(redirect).scheme not in ("http", "https") or (registered and redirect != registered):
            raise OAuthError("invalid_request", "Invalid request: redirect_uri is not the registered one")
        return {name: value for name, value in given.items() if name in ASKED}

    async def _form_call(
        self, request: Request, handle: Callable[[Request, Form, dict[str, Any]], Response]
    ) -> Response:
        raw = await request.body()
        with self.pipedrive.lock:
            try:
                self._check_client(request)
                return handle(request, _form(request, raw), request.scope.get("sandbox", {}))
            except OAuthError as error:
                return respond(error.status, error.envelope())

    def _check_client(self, request: Request) -> None:
        """The app names itself by HTTP Basic, and by nothing else; raises OAuthError (401, 400)."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            raise OAuthError("invalid_client", "Invalid client: cannot retrieve client credentials", 401)
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(given, f"{self.pipedrive.client_id}:{self.pipedrive.client_secret}".encode()):
            raise OAuthError("invalid_client", "Invalid client: client is invalid")

    def _token(self, request: Request, form: Form, marks: dict[str, Any]) -> Response:
        grants = self.pipedrive.grants
        match form.get("grant_type"):
            case "authorization_code":
                company, answer = grants.exchange(_needed(form, "code"), _needed(form, "redirect_uri"))
            case "refresh_token":
                company, answer = grants.refresh(_needed(form, "refresh_token"))
            case None:
                raise OAuthError("invalid_request", "Missing parameter: grant_type")
            case _:
                raise OAuthError("unsupported_grant_type", "Unsupported grant type: grant_type is invalid")
        marks["account"] = company.number
        return respond(200, {**answer, "api_domain": self.pipedrive.base_url or reached_at(request)})

    def _revoke(self, _request: Request, form: Form, marks: dict[str, Any]) -> Response:
        token, grants = _needed(form, "token"), self.pipedrive.grants
        company = grants.company_of_refresh(token) or grants.company_of(token)
        if company is not None:
            marks["account"] = company.number
        grants.revoke_token(token)
        return respond(200, {"success": True})


def reached_at(request: Request) -> str:
    """Where the client reaches this emulator, with the path below which it is mounted."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}".rstrip("/")


def _needed(form: Form, name: str) -> str:
    if not form.get(name):
        raise OAuthError("invalid_request", f"Missing parameter: {name}")
    return form[name]


def _form(request: Request, raw: bytes) -> Form:
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Invalid request: content must be application/x-www-form-urlencoded")
    return _pairs(raw.decode(errors="replace"))


def _pairs(text: str) -> Form:
    return dict(parse_qsl(text, keep_blank_values=True))


def _back_to(redirect_uri: str, parameters: Form) -> Response:
    separator = "&" if urlsplit(redirect_uri).query else "?"
    return RedirectResponse(f"{redirect_uri}{separator}{urlencode(parameters)}", 302)
