"""What those who watch a run are told before its first step."""

from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.feature_store.layout import store_bytes
from mrlspk.training.checkpoints.checkpoint import RunState, effective_batch
from mrlspk.training.modules import count_by_part, count_parameters
from mrlspk.training.records import Progress, RunFacts, WarmStart


def describe_run(
    state: RunState,
    data: TrainingData,
    progress: Progress,
    *,
    run_dir: Path,
    resumes: bool,
    transfer: WarmStart | None,
    steps_per_epoch: int,
) -> RunFacts:
    """Return the sizes of a run, and where it goes on from."""
    config, module = state.config, state.module
    n_stored = len(data.train) * n_passes(config) if config.trains_head_alone else None
    return RunFacts(
        run_dir=str(run_dir),
        config=config.model_dump(mode="json"),
        n_speakers=len(data.train.speakers),
        n_utterances=len(data.train) // len(data.train.speeds),
        n_classes=data.train.n_classes,
        n_validation_speakers=len(data.validation.speakers),
        n_validation_trials=len(data.validation_trials),
        trained_parameters=count_parameters(module, trained=True),
        frozen_parameters=count_parameters(module, trained=False),
        steps_per_epoch=steps_per_epoch,
        num_epochs=config.training.num_epochs,
        first_epoch=progress.epoch + 1,
        first_step=progress.step,
        resumes=resumes,
        n_processes=state.ranks.world_size,
        effective_batch=effective_batch(config, state.ranks),
        parameters=count_by_part(module),
        transfer=transfer,
        n_stored=n_stored,
        stored_bytes=None
        if n_stored is None
        else store_bytes(n_stored, module.encoder.pooled_dim, config.features.dtype),
    )


def n_passes(config: Config) -> int:
    """Return how many crops of each utterance and speed an epoch can choose from, each by an index of its own."""
    return config.features.crops_per_utterance if config.trains_head_alone else 1
