"""The HTTP client of all packages: fast to import, with limits on what is read."""
