"""One module a page: it asks (console.queries), and shows (console/templates)."""
