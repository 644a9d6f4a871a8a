"""Everything at once, to look at and to play with: `python -m sandbox.up` (make up). It uses the demo's modules."""
