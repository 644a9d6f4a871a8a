"""One module a page: it asks (console.queries_*), and shows (console/templates)."""
