"""Use cases, one a file, each named as its command; all return a frozen report."""
