"""Helpers for tests of head runs."""

import torch


def load(path):
    return torch.load(path, weights_only=True)


def sets(*texts):
    return [part for text in texts for part in ("--set", text)]


def moved(before, after):
    """Return the entries of ``after`` that are not those of ``before``, bit for bit."""
    assert before.keys() == after.keys()
    return {name for name, values in after.items() if not torch.equal(values, before[name])}


def same(first, second):
    return first.keys() == second.keys() and not moved(first, second)


def linear(path):
    """Return the weights of a checkpoint's head."""
    return load(path)["model"]["head.linear.weight"]


def ran(outcome):
    """Return what a command reports, which must have ended well."""
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.json
