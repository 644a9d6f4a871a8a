"""Where one connection renews and revokes its tokens: a Salesforce sandbox is a world of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from providers.config import ProviderConfig
from providers.credentials import Credentials, host_of

SANDBOX_HOST = ".sandbox."
SANDBOX_TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
"""A Salesforce sandbox gives tokens itself: the production's login knows nothing of it."""


def token_url_of(credentials: Credentials, config: ProviderConfig, provider: str) -> str:
    """Where this connection refreshes; raises `Unauthorized` for a host that is none of the CRM's."""
    if credentials.token_url:
        return host_of(credentials.token_url, config, provider)
    if credentials.instance_url and SANDBOX_HOST in (urlsplit(credentials.instance_url).hostname or ""):
        return host_of(credentials.instance_url, config, provider) + SANDBOX_TOKEN_PATH
    return config.token_url


def revoke_url_of(credentials: Credentials, config: ProviderConfig, provider: str) -> str | None:
    """Where this connection is ended: at the host that gives its tokens, by the CRM's own path; raises as above.

    None where the CRM has no such call.
    """
    if config.revoke_url is None:
        return None
    own, usual = urlsplit(token_url_of(credentials, config, provider)), urlsplit(config.token_url)
    if own[:2] == usual[:2]:
        return config.revoke_url
    # the path below which it all lies, which a site of a My Domain may have
    below = own.path.removesuffix(usual.path) if own.path.endswith(usual.path) else ""
    return own._replace(path=below + urlsplit(config.revoke_url).path, query="", fragment="").geturl()
