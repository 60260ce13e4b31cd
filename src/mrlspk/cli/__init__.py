"""Commands: each parses its flags, calls one workflow and shows its report."""
