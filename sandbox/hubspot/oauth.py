"""The OAuth endpoints: consent page, token, introspection and revocation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.consent import HUBSPOT, NEW, new_name
from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.gate import check_version, respond
from sandbox.hubspot.grants import refused
from sandbox.hubspot.portal import Portal

if TYPE_CHECKING:
    from sandbox.hubspot.emulator import HubSpot

Form = dict[str, str]


class OAuth:
    """Handlers of one emulator's OAuth endpoints."""

    def __init__(self, hubspot: HubSpot) -> None:
        self.hubspot = hubspot

    async def token(self, request: Request) -> Response:
        return await self._form_call(request, self._token)

    async def introspect(self, request: Request) -> Response:
        return await self._form_call(request, self._introspect)

    async def revoke(self, request: Request) -> Response:
        return await self._form_call(request, self._revoke)

    async def ask(self, request: Request) -> Response:
        """The consent page; every parameter is checked here as it is again on approval."""
        try:
            asked = self._asked(dict(request.query_params))
        except ApiError as error:
            return HUBSPOT.refuse(error.message)
        with self.hubspot.lock:
            portals = [(portal.hub_id, portal.name) for portal in self.hubspot.portals.values()]
        return HUBSPOT.ask(portals, asked, _scopes(asked))

    async def decide(self, request: Request) -> Response:
        """The consent page's buttons: back to the app with `code` and `state`, or with `error=access_denied`."""
        form = _pairs((await request.body()).decode())
        try:
            asked = self._asked({name: form[name] for name in form if name not in ("decision", "hub_id", "new_name")})
        except ApiError as error:
            return HUBSPOT.refuse(error.message)
        back = {"state": asked["state"]} if "state" in asked else {}
        if form.get("decision") != "approve":
            denied = {"error": "access_denied", "error_description": "User denied access", **back}
            return _back_to(asked["redirect_uri"], denied)
        with self.hubspot.lock:
            portal = self._chosen(form)
            if portal is None:
                return HUBSPOT.refuse("There is no such account")
            code = self.hubspot.grants.grant_code(
                portal, asked["redirect_uri"], _scopes(asked), asked.get("code_challenge") or None
            )
        return _back_to(asked["redirect_uri"], {"code": code, **back})

    def _chosen(self, form: Form) -> Portal | None:
        """The portal that a person chose, or opened by choosing."""
        chosen = form.get("hub_id", "")
        if chosen == NEW:
            return self.hubspot.open_portal(name=new_name(form))
        return self.hubspot.portals.get(int(chosen) if chosen.isdecimal() else -1)

    def _asked(self, given: Form) -> Form:
        if given.get("client_id") != self.hubspot.client_id:
            raise ApiError(400, "The client_id is missing or unknown")
        redirect = urlsplit(given.get("redirect_uri", ""))
        allowed = self.hubspot.redirect_uris
        if redirect.scheme not in ("http", "https") or (allowed and given["redirect_uri"] not in allowed):
            raise ApiError(400, "The redirect_uri is missing or not one of the app's")
        if unknown := set(given.get("scope", "").split()) - set(self.hubspot.app_scopes):
            raise ApiError(400, f"The app is not configured for the scopes: {', '.join(sorted(unknown))}")
        if not given.get("scope"):
            raise ApiError(400, "The scope parameter is missing")
        if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
            raise ApiError(400, "The code_challenge_method must be S256")
        return given

    async def _form_call(self, request: Request, handle: Callable[[Form, dict[str, Any]], Response]) -> Response:
        raw = await request.body()
        marks: dict[str, Any] = request.scope.get("sandbox", {})
        with self.hubspot.lock:
            try:
                check_version(request.path_params["version"])
                form = _form(request, raw)
                self._check_client(form)
                return handle(form, marks)
            except ApiError as error:
                return respond(error.status, error.envelope())

    def _check_client(self, form: Form) -> None:
        if form.get("client_id") != self.hubspot.client_id:
            raise refused("BAD_CLIENT_ID", "missing or unknown client id", "invalid_client")
        if form.get("client_secret") != self.hubspot.client_secret:
            raise refused("BAD_CLIENT_SECRET", "missing or invalid client secret", "invalid_client")

    def _token(self, form: Form, marks: dict[str, Any]) -> Response:
        grants = self.hubspot.grants
        match form.get("grant_type"):
            case "authorization_code":
                answer = grants.exchange(form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier"))
            case "refresh_token":
                answer = grants.refresh(form.get("refresh_token", ""))
            case _:
                raise refused("BAD_GRANT_TYPE", "missing or unknown grant type", "unsupported_grant_type")
        marks["account"] = answer["hub_id"]
        return respond(200, answer)

    def _introspect(self, form: Form, marks: dict[str, Any]) -> Response:
        token, grants = form.get("token", ""), self.hubspot.grants
        expires_in = grants.expires_in(token)
        portal = grants.portal_of(token) if expires_in is not None else grants.portal_of_refresh(token)
        if portal is None:
            return respond(200, {"active": False})
        marks["account"] = portal.hub_id
        return respond(200, self._described(portal, token, expires_in))

    def _described(self, portal: Portal, token: str, expires_in: int | None) -> dict[str, Any]:
        document: dict[str, Any] = {
            "active": True,
            "token": token,
            "hub_id": portal.hub_id,
            "hub_domain": portal.name,
            "user": portal.user,
            "user_id": portal.hub_id + 1,
            "app_id": self.hubspot.app_id,
            "client_id": self.hubspot.client_id,
            "scopes": list(portal.scopes),
            "token_type": "bearer",
        }
        if expires_in is None:
            return {**document, "token_use": "refresh_token"}
        signed = {
            "appId": self.hubspot.app_id,
            "expiresAt": round((self.hubspot.clock() + expires_in) * 1000),
            "hubId": portal.hub_id,
            "hublet": "eu1",
            "installingUserId": portal.hub_id + 1,
            "isPrivateDistribution": False,
            "isServiceAccount": False,
            "isUserLevel": False,
            "newSignature": "",
            "scopes": "",
            "scopeToScopeGroupPks": "",
            "signature": "",
            "trialScopes": "",
            "trialScopeToScopeGroupPks": "",
            "userId": portal.hub_id + 1,
        }
        return {
            **document,
            "token_use": "access_token",
            "expires_in": expires_in,
            "is_private_distribution": False,
            "signed_access_token": signed,
        }

    def _revoke(self, form: Form, marks: dict[str, Any]) -> Response:
        token, grants = form.get("token", ""), self.hubspot.grants
        portal = grants.portal_of_refresh(token) or grants.portal_of(token)
        if portal is not None:
            marks["account"] = portal.hub_id
        grants.revoke_token(token)
        return Response(None, 200)


def _scopes(asked: Form) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{asked['scope']} {asked.get('optional_scope', '')}".split()))


def _form(request: Request, raw: bytes) -> Form:
    if request.url.query:
        raise ApiError(400, "Parameters must be sent in the request body, not in the query")
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise ApiError(415, "Unsupported Media Type: send application/x-www-form-urlencoded", None)
    return _pairs(raw.decode(errors="replace"))


def _pairs(text: str) -> Form:
    return dict(parse_qsl(text, keep_blank_values=True))


def _back_to(redirect_uri: str, parameters: Form) -> Response:
    separator = "&" if urlsplit(redirect_uri).query else "?"
    return RedirectResponse(f"{redirect_uri}{separator}{urlencode(parameters)}", 302)
