"""What the tests and the suites share; one module for each thing in it."""
