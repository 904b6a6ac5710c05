"""Operations on one target: preflight, steps, verification, handoff, undo, journal and recovery."""
