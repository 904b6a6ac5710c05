"""One run for one target: preflight, steps, verification, handoff, undo, journal and recovery."""
