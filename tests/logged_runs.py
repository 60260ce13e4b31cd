"""A small run as its logs see it."""

import json
import math

from torch import nn

from factories import validated
from mrlspk.config.run import LoggingConfig
from mrlspk.training.records import EpochRecord, RunFacts, StepRecord
from mrlspk.training.run_log import build_run_log

CONFIG = {"seed": 1, "training": {"learning_rate": 0.5}}


def facts(first_step=0, first_epoch=1, *, config=CONFIG):
    return RunFacts(
        "run", config, 2, 3, 2, 2, 4, 10, 0, 4, 3, first_epoch, None,
        first_step=first_step, resumes=first_step > 0, n_processes=2, effective_batch=16,
        parameters={"backbone": 7, "head": 3}, published_dims=(4, 8),
    )  # fmt: skip


def step(number, loss=None):
    loss = 1.0 / number if loss is None else loss
    by_dim = {4: 2.0 * loss, 8: 0.5 * loss}
    return StepRecord(
        1 + (number - 1) // 4, number, loss, by_dim, 1e-3, 0.25, 3.0, 50.0, 0.125, 64.0, int(loss != loss)
    )


def epoch(number, *, is_best=True):
    validation = validated(0.5 / number, {4: 0.25, 8: 0.125 / number}, {4: 1.0, 8: 0.75}, -1.5)
    return EpochRecord(number, 4 * number, 0.75, validation, is_best=is_best, seconds=2.0)


def build(tmp_path, *, module=None, steps_per_epoch=4, **changes):
    """Build the logs of the run ``run``; every second step is logged."""
    config = LoggingConfig(log_dir=tmp_path / "logs", log_interval=2, **changes)
    return build_run_log(config, tmp_path / "run", module=module or nn.Linear(1, 1), steps_per_epoch=steps_per_epoch)


def tell(logs, *records, of=None, ended=True):
    """Tell ``logs`` what happens in a run; one that is killed is not ``ended``."""
    for log in logs:
        log.run_started(of or facts())
    for record in records:
        for log in logs:
            (log.step_done if isinstance(record, StepRecord) else log.epoch_done)(record)
    for log in logs if ended else ():
        log.run_ended()


def read_lines(tmp_path):
    """Return the steps and epochs of metrics.jsonl, as strict JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def expected_scalars(lines):
    """Return {scalar: {step: value}} as the lines of metrics.jsonl have them, by another way than the logs go."""
    found = {}
    for line in lines:
        if line["event"] == "step":
            values = {
                "train/loss": line["loss"], "train/learning_rate": line["learning_rate"],
                "train/margin": line["margin"], "train/gradient_norm": line["gradient_norm"],
                "train/skipped_steps": line["n_skipped"],
                "speed/utterances_per_second": line["utterances_per_second"],
                "speed/waiting_share": line["waiting_share"], "memory/mib": line["memory_mib"],
                "train/loss_4": line["loss_by_dim"]["4"], "train/loss_8": line["loss_by_dim"]["8"],
            }  # fmt: skip
        elif line["event"] == "epoch":
            validation = line["validation"]
            figures = {"loss": validation["loss"], "mean_log_eer": validation["mean_log_eer"]}
            figures |= {f"eer_{dim}": validation["eer"][dim] for dim in ("4", "8")}
            figures |= {f"min_dcf_{dim}": validation["min_dcf"][dim] for dim in ("4", "8")}
            values = {"epoch/number": line["epoch"], "epoch/loss": line["train_loss"], "epoch/seconds": line["seconds"]}
            values |= {f"validation/{name}": value for name, value in figures.items()}
            if line["is_best"]:
                values |= {f"best/{name}": value for name, value in {"epoch": line["epoch"], **figures}.items()}
        else:
            continue
        for name, value in values.items():
            if value is not None and not math.isnan(value):
                found.setdefault(name, {})[line["step"]] = value
    return found
