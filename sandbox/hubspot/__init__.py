"""HubSpot, emulated."""

from sandbox.hubspot.emulator import CLIENT_ID, CLIENT_SECRET, DEFAULT_SCOPES, HubSpot
from sandbox.hubspot.gate import VERSIONS
from sandbox.hubspot.portal import Portal

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "DEFAULT_SCOPES", "VERSIONS", "HubSpot", "Portal"]
