"""The end of a run whose losses are no numbers any more, with the crops that the last of them came from."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.distributed import on_rank_zero, told_once
from mrlspk.errors import MrlspkError
from mrlspk.files import whole_file
from mrlspk.training.checkpoints.progress import Progress

if TYPE_CHECKING:
    from mrlspk.training.fit import Run

BATCH = "nonfinite-step.json"


def stop_at_nonfinite(run: "Run", progress: Progress, *, before: Progress) -> None:
    """End the run where as many steps in a row were left out as are allowed.

    Args:
        run: Its weights are those before the first of these steps.
        progress: After the last of them.
        before: Before it.

    Raises:
        MrlspkError: If they were; the crops of the last step are in a file that it names.
    """
    allowed = run.config.training.max_nonfinite_steps
    if progress.n_skipped_in_a_row < allowed:
        return
    path = run.run_dir / BATCH
    on_rank_zero(run.ranks, lambda: _write_crops(run, progress, path, before=before))
    error = MrlspkError(
        f"the loss, or its gradient, was no finite number in {allowed} steps in a row, the last of them step "
        f"{progress.step} of epoch {progress.epoch + 1}; its utterances are in {path.name}",
        path,
        "Listen to them. Lower training.learning_rate or take hardware.precision=fp32 and go on with --resume auto "
        "--allow-changes: the weights are those before the first of these steps.",
    )
    raise told_once(run.ranks, error)


def _write_crops(run: "Run", progress: Progress, path: Path, *, before: Progress) -> None:
    n_batches = run.config.training.accumulation_steps
    keys = run.batches.crops_at(progress.epoch, n_crops_done=before.n_crops, n_batches=n_batches)
    names = [run.name_crop(key) for key in keys[: progress.n_crops - before.n_crops]]
    told = {"epoch": progress.epoch + 1, "step": progress.step, "utterance_ids": names}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
