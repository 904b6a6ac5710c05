"""Runs the real commands against a sandbox, and checks their output, their resources, leftovers and leaks."""
