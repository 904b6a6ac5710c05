"""The kinds of registry that pullkey knows, one package each."""
