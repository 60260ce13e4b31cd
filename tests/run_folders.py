"""Folders of training runs as their files show them, written without training."""

import json

DIMS = (8, 16, 32)


def epoch_line(epoch, *, eers=(0.3, 0.2, 0.1), is_best=True, **changes):
    by_dim = {str(dim): eer / epoch for dim, eer in zip(DIMS, eers, strict=True)}
    validation = {"loss": 0.5 / epoch, "eer": by_dim, "min_dcf": dict.fromkeys(by_dim, 0.75), "mean_log_eer": -1.5}
    line = {"event": "epoch", "epoch": epoch, "step": 4 * epoch, "train_loss": 1.25 / epoch, "is_best": is_best}
    return line | {"validation": validation, "seconds": 2.0} | changes


def step_line(step, **changes):
    by_dim = {str(dim): dim / step for dim in DIMS}
    return {"event": "step", "epoch": 1, "step": step, "loss": 2.0 / step, "loss_by_dim": by_dim} | changes


def run_line(**changes):
    line = {"event": "run", "run_dir": "runs/first", "config": {"seed": 1}, "n_speakers": 60, "n_utterances": 600}
    line |= {"n_classes": 60, "n_validation_speakers": 24, "n_validation_trials": 500, "trained_parameters": 1234}
    return line | {"steps_per_epoch": 4, "num_epochs": 2, "first_epoch": 1, "baselines": None} | changes


def network_lines(n_epochs=2):
    """A run of the whole network with a step logged every second step."""
    epochs = [[step_line(4 * n - 2), step_line(4 * n), epoch_line(n)] for n in range(1, n_epochs + 1)]
    return [run_line(), *(line for lines in epochs for line in lines)]


def card(checkpoint="best.pt", **changes):
    results = [{"dim": dim, "eer": 0.8 / dim, "min_dcf": 0.5} for dim in DIMS]
    trials = {"description": "500 trials", "sha256": "a" * 64, "n_target": 250, "n_nontarget": 250, "p_target": 0.01}
    data = {"folder": "speech-of-mine", "speakers": 60, "utterances": 600, "fingerprint": "b" * 64}
    found = {"title": "first", "mrlspk_version": "0.1.0", "checkpoint": checkpoint, "sha256": "c" * 64}
    found |= {"family": "redimnet", "parameters": 5000, "dims": list(DIMS), "base": None, "data": data}
    return found | {"trials": trials, "epoch": 2, "results": results} | changes


def write_run(folder, lines=None, *, cards=None, tail=""):
    """Write a run; ``tail`` is what a kill has left of a line, and ``cards`` are the model cards by file."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 1\n")
    if lines is not None:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    for name, content in (cards or {}).items():
        (folder / f"{name}.card.json").write_text(json.dumps(content))
    return folder
