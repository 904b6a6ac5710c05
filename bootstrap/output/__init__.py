"""What the user sees: progress, tables, JSON, pages and runbooks."""
