"""The OAuth endpoints: consent page, token, introspection, revocation, and who the user is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.consent import NEW, SALESFORCE, new_name
from sandbox.salesforce.errors import ApiError, OAuthError
from sandbox.salesforce.gate import base_url_of, bearer, respond
from sandbox.salesforce.grants import Approval
from sandbox.salesforce.org import Org

if TYPE_CHECKING:
    from sandbox.salesforce.emulator import Salesforce

Form = dict[str, str]
SCOPES = ("api", "refresh_token", "offline_access", "id", "openid", "profile", "email", "full", "web")


class OAuth:
    """Handlers of one emulator's OAuth endpoints."""

    def __init__(self, salesforce: Salesforce) -> None:
        self.salesforce = salesforce

    async def ask(self, request: Request) -> Response:
        """The consent page; every parameter is checked here as it is again on approval."""
        asked = dict(request.query_params)
        refusal = self._refusal(asked)
        if refusal is not None:
            return refusal
        with self.salesforce.lock:
            orgs = [(org.number, org.name) for org in self.salesforce.orgs.values()]
        return SALESFORCE.ask(orgs, asked, _scopes(asked))

    async def decide(self, request: Request) -> Response:
        """The consent page's buttons: back to the app with `code` and `state`, or with `error=access_denied`."""
        form = _pairs((await request.body()).decode(errors="replace"))
        asked = {name: value for name, value in form.items() if name not in ("decision", "org", "new_name")}
        refusal = self._refusal(asked)
        if refusal is not None:
            return refusal
        if form.get("decision") != "approve":
            return _back(asked, error="access_denied", error_description="end-user denied authorization")
        with self.salesforce.lock:
            org = self._chosen(form)
            if org is None:
                return SALESFORCE.refuse("There is no such org")
            code = self.salesforce.grants.grant_code(
                org, asked["redirect_uri"], _scopes(asked), asked["code_challenge"]
            )
        return _back(asked, code=code)

    async def token(self, request: Request) -> Response:
        return await self._form_call(request, self._token)

    async def introspect(self, request: Request) -> Response:
        return await self._form_call(request, self._introspect)

    async def revoke(self, request: Request) -> Response:
        """The token alone suffices; the client's own credentials are not asked for."""
        return await self._form_call(request, self._revoke, is_client_known=False)

    async def user_info(self, request: Request) -> Response:
        """Who approved: by a session of any scope."""
        with self.salesforce.lock:
            try:
                approval = self.salesforce.grants.authenticate(bearer(request.headers))
            except ApiError:
                return Response("Bad_OAuth_Token", 403, media_type="text/html")
            return respond(200, _identity(approval, base_url_of(request)))

    async def discover(self, request: Request) -> Response:
        """The addresses of these endpoints."""
        base = base_url_of(request)
        return respond(
            200,
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/services/oauth2/authorize",
                "token_endpoint": f"{base}/services/oauth2/token",
                "revocation_endpoint": f"{base}/services/oauth2/revoke",
                "introspection_endpoint": f"{base}/services/oauth2/introspect",
                "userinfo_endpoint": f"{base}/services/oauth2/userinfo",
                "scopes_supported": list(SCOPES),
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            },
        )

    def _chosen(self, form: Form) -> Org | None:
        """The org that a person chose, or opened by choosing."""
        chosen = form.get("org", "")
        if chosen == NEW:
            return self.salesforce.open_org(name=new_name(form))
        return self.salesforce.orgs.get(int(chosen) if chosen.isdecimal() else -1)

    def _refusal(self, asked: Form) -> Response | None:
        """What is wrong with a request for authorization: a page, or an error that the app is told."""
        if asked.get("client_id") != self.salesforce.client_id:
            return SALESFORCE.refuse("error=invalid_client_id&error_description=client identifier invalid")
        redirect, allowed = asked.get("redirect_uri", ""), self.salesforce.redirect_uris
        if urlsplit(redirect).scheme not in ("http", "https") or (allowed is not None and redirect not in allowed):
            return SALESFORCE.refuse(
                "error=redirect_uri_mismatch&error_description=redirect_uri must match configuration"
            )
        problem = _problem(asked)
        return _back(asked, error=problem[0], error_description=problem[1]) if problem else None

    async def _form_call(
        self, request: Request, handle: Callable[[Request, Form], Response], *, is_client_known: bool = True
    ) -> Response:
        raw = await request.body()
        with self.salesforce.lock:
            try:
                form = _form(request, raw)
                if is_client_known:
                    self._check_client(request, form)
                return handle(request, form)
            except OAuthError as error:
                return respond(error.status, error.document())

    def _check_client(self, request: Request, form: Form) -> None:
        given = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        if given[0] != self.salesforce.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if given[1] != self.salesforce.client_secret:
            raise OAuthError("invalid_client", "invalid client credentials")

    def _token(self, request: Request, form: Form) -> Response:
        grants, base = self.salesforce.grants, base_url_of(request)
        match form.get("grant_type"):
            case "authorization_code":
                answer = grants.exchange(
                    form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", ""), base
                )
            case "refresh_token":
                answer = grants.refresh(form.get("refresh_token", ""), base)
            case _:
                raise OAuthError("unsupported_grant_type", "grant type not supported")
        self._mark(request, answer["access_token"])
        return respond(200, answer, {"cache-control": "no-store"})

    def _introspect(self, request: Request, form: Form) -> Response:
        token = form.get("token", "")
        self._mark(request, token)
        described = self.salesforce.grants.introspect(token)
        return respond(200, {**described, "client_id": self.salesforce.client_id} if described["active"] else described)

    def _revoke(self, request: Request, form: Form) -> Response:
        token = form.get("token", "")
        self._mark(request, token)
        self.salesforce.grants.revoke_token(token)
        return Response(None, 200)

    def _mark(self, request: Request, token: str) -> None:
        org = self.salesforce.grants.org_of(token)
        if org is not None:
            request.scope.get("sandbox", {})["account"] = org.number


def _problem(asked: Form) -> tuple[str, str] | None:
    """What a request for authorization lacks, as the app is told: an error and its description."""
    if asked.get("response_type") != "code":
        return "unsupported_response_type", "response type not supported"
    if set(asked.get("scope", "").split()) - set(SCOPES):
        return "invalid_scope", "the requested scope is not allowed"
    if not asked.get("code_challenge"):
        return "invalid_request", "missing required code challenge"
    if asked.get("code_challenge_method") != "S256":
        return "invalid_request", "code challenge method must be S256"
    return None


def _scopes(asked: Form) -> tuple[str, ...]:
    return tuple(dict.fromkeys(asked.get("scope", "").split())) or ("refresh_token", "api", "id")


def _identity(approval: Approval, base: str) -> dict[str, Any]:
    org = approval.org
    user = org.tables["User"].get(org.user_id)
    values = user.values if user else {}
    return {
        "sub": f"{base}/id/{org.id}/{org.user_id}",
        "id": f"{base}/id/{org.id}/{org.user_id}",
        "user_id": org.user_id,
        "organization_id": org.id,
        "preferred_username": values.get("Username"),
        "username": values.get("Username"),
        "name": values.get("Name"),
        "display_name": values.get("Name"),
        "email": values.get("Email"),
        "active": True,
        "user_type": "STANDARD",
        "urls": {
            "rest": f"{base}/services/data/v{{version}}/",
            "sobjects": f"{base}/services/data/v{{version}}/sobjects/",
        },
    }


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client_id", "client identifier invalid") from None
    return unquote_plus(name), unquote_plus(secret)


def _form(request: Request, raw: bytes) -> Form:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send application/x-www-form-urlencoded", 415)
    return _pairs(raw.decode(errors="replace"))


def _pairs(text: str) -> Form:
    return dict(parse_qsl(text, keep_blank_values=True))


def _back(asked: Form, **parameters: str) -> Response:
    """To the app, with its own state."""
    if "state" in asked:
        parameters["state"] = asked["state"]
    separator = "&" if urlsplit(asked["redirect_uri"]).query else "?"
    return RedirectResponse(f"{asked['redirect_uri']}{separator}{urlencode(parameters)}", 302)
