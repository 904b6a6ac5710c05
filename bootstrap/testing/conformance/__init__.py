"""The conformance suite: tests what every provider has to do, with the real commands on its emulator."""
