"""Salesforce, emulated."""

from sandbox.salesforce.emulator import CLIENT_ID, CLIENT_SECRET, Salesforce
from sandbox.salesforce.org import Org

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "Org", "Salesforce"]
