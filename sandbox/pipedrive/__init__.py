"""Pipedrive, emulated."""

from sandbox.pipedrive.company import Company
from sandbox.pipedrive.emulator import ALL_SCOPES, CLIENT_ID, CLIENT_SECRET, Pipedrive

__all__ = ["ALL_SCOPES", "CLIENT_ID", "CLIENT_SECRET", "Company", "Pipedrive"]
