"""The public face of pullkey for providers: what a plugin imports, and nothing else of `bootstrap`."""
