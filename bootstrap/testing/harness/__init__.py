"""The unchanged commands against a sandbox: what they print, what they create, leave over and leak."""
