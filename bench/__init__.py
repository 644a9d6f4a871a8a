"""Benchmarks: programs, not timed tests. Ratios are the claim; absolute numbers vary by machine."""
