"""Proves that nothing is lost and nothing doubled: the whole pipeline under seeded random schedules of faults."""
