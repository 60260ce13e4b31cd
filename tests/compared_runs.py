"""Compare the files of two runs."""

import json

import torch

MEASURED = {"seconds", "utterances_per_second", "waiting_share", "memory_mib"}
NAMES = "config", "card"  # entries of a checkpoint in which its run is named


def load(path):
    return torch.load(path, weights_only=True)


def logged(run_dir):
    """Return the steps and epochs of a log, without what is measured."""
    entries = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    kept = [entry for entry in entries if entry["event"] != "run"]
    return [{key: value for key, value in entry.items() if key not in MEASURED} for entry in kept]


def losses(run_dir):
    """Return every loss of every step of a log, in total and by width."""
    steps = [entry for entry in logged(run_dir) if entry["event"] == "step"]
    assert [step["step"] for step in steps] == [*range(1, len(steps) + 1)]
    return {
        (step["step"], dim): loss
        for step in steps
        for dim, loss in {"all": step["loss"], **step["loss_by_dim"]}.items()
    }


def same(a, b):
    """Return whether two entries of checkpoints are equal bit for bit."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def differences(one, other):
    """Return what two runs left that is not equal bit for bit: files, entries of checkpoints, the log."""
    names = {path.name for path in one.iterdir()}
    found = [f"only in one: {name}" for name in names ^ {path.name for path in other.iterdir()}]
    for name in sorted(name for name in names if name.endswith(".pt") and (other / name).exists()):
        a, b = ({key: value for key, value in load(run / name).items() if key not in NAMES} for run in (one, other))
        found += [f"{name}: {key}" for key in a.keys() | b.keys() if not same(a.get(key), b.get(key))]
    return found + ([] if logged(one) == logged(other) else ["metrics.jsonl"])
