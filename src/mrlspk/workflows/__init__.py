"""Use cases of the commands: each takes a configuration or paths and returns a frozen report."""
