"""The daemon: wakes up, carries batches to the CRMs, reports."""

__version__ = "0.1.0"
