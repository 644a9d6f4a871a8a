"""Everything at once, to look at and to play with: `python -m sandbox.up` (make up). It builds on the demo's modules."""
