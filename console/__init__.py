"""The web console: people connect their CRM in one click, and see everything."""
