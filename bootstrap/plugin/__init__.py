"""The API for providers. A plugin imports this package and `bootstrap.model`, nothing else of `bootstrap`."""
