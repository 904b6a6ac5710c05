"""The conformance suite: what every provider has to do, tried with the real commands on its emulator."""
