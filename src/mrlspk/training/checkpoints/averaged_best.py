"""The end of a run that averages: the mean of its last checkpoints, judged as each epoch was."""

import copy
from dataclasses import asdict

from mrlspk.models.checkpoints import save_model, schema
from mrlspk.training.best import note_best
from mrlspk.training.checkpoints.averaging import AVERAGED, average_checkpoints, kept_checkpoints
from mrlspk.training.checkpoints.checkpoint import save_with_card
from mrlspk.training.checkpoints.progress import Progress
from mrlspk.training.fit import Run


def average_last(run: Run, progress: Progress) -> Progress:
    """Write ``averaged.pt`` where the configuration asks for it, and as the best checkpoint where it is better.

    Raises:
        CheckpointError: If a kept checkpoint is not of this network.
        DataError: If a validation utterance cannot be embedded.
    """
    wanted = run.config.training.average_last
    if not wanted:
        return progress
    entries = average_checkpoints(kept_checkpoints(run.run_dir, wanted))
    encoder = copy.deepcopy(run.state.module.current_encoder())
    encoder.load_state_dict(entries[schema.MODEL])
    validation = run.validator.validate(encoder)
    progress, is_best = note_best(run, progress, validation)
    entries |= {
        schema.PROGRESS: asdict(progress),
        schema.VALIDATION: asdict(validation),
        schema.CARD: run.state.card.with_results(validation.eer, validation.min_dcf, epoch=progress.epoch).entry(),
    }
    if not run.ranks.is_first:
        return progress
    save_model(run.run_dir / AVERAGED, entries)
    if is_best:
        save_with_card(run.run_dir / run.best_name, entries)
    return progress
