"""Time the training of the head once the pooled vectors are stored: `mrlspk train`, without the extraction.

    .venv/bin/pytest tests/benchmarks/test_head_training.py

100,000 vectors of 2,304 values (as many as the published b2 pools) of 1,000 speakers, eight epochs at widths 16 to 256.
The corpus is of empty files: its vectors are put into the stores beforehand, as speakers with deviations about them, so
that nothing is decoded. The backbone has random weights, and is not used.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlspk.config import Config
from mrlspk.distributed import ranks_of
from mrlspk.feature_store.extraction import ensure_store
from mrlspk.feature_store.key import crops_key, utterances_key
from mrlspk.feature_store.shards import Layout, Shard
from mrlspk.rotation.folds import sample_utterances
from mrlspk.training.checkpoints.resume_point import find_run
from mrlspk.training.hardware import build_fabric
from mrlspk.training.plan import RunPlan, read_data
from mrlspk.training.prepare import prepare
from mrlspk.training.state import RunState
from mrlspk.training.validation import build_validation_trials
from mrlspk.workflows.train import train

N_SPEAKERS, PER_SPEAKER, HELD_OUT = 1000, 100, 40
MARGIN_OF_NOISE = 2.0  # deviation within a speaker, against 1 between speakers
BACKBONE = {"F": 72, "C": 16, "stages_setup": [[1, 1, 1, [[3, 3]], None]]}  # 1,152 channels, pooled to 2,304 values


class Voices:
    """A source of vectors: a direction for each speaker, and noise about it."""

    def __init__(self, speakers: Sequence[int], n_features: int) -> None:
        self.speakers, self.n_features = np.asarray(speakers), n_features
        self.centres = np.random.default_rng(0).normal(size=(N_SPEAKERS + HELD_OUT, n_features)).astype(np.float32)

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        for shard in shards:
            noise = np.random.default_rng(shard.number).normal(size=(len(shard), self.n_features))
            rows = self.centres[self.speakers[shard.start : shard.stop]] + MARGIN_OF_NOISE * noise
            on_rows(len(shard))
            yield rows.astype(layout.dtype)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    for speaker in range(N_SPEAKERS + HELD_OUT):
        folder = root / "corpus" / f"s{speaker:04}" / "a"
        folder.mkdir(parents=True)
        for number in range(PER_SPEAKER):
            (folder / f"{number:03}.wav").touch()
    return Config.model_validate(
        {
            "model": {
                "pretrained": {"use_pretrained": False},
                "backbone": BACKBONE,
                "matryoshka_dims": [64, 128, 192, 256],
                "trained_dims": [16, 32, 64, 128, 192, 256],
            },
            "training": {"num_epochs": 8},
            "head": {"rotation": "svd"},
            "data": {
                "train_dataset": root / "corpus",
                "val_dataset": None,
                "n_validation_speakers": HELD_OUT,
                "augmentation": False,
                "num_workers": 0,
            },
            "features": {"folder": root / "features", "crops_per_utterance": 1},
            "hardware": {"device": "cpu"},
            "logging": {"save_dir": root / "runs", "tensorboard": False},
            "evaluation": {"n_resamples": 0},
        }
    )


def fill_stores(state: RunState) -> None:
    """Put vectors where a run would put those of its audio."""
    config, data, encoder = state.config, state.plan.data, state.module.encoder
    features, evaluation = config.features, config.evaluation
    common = {"dtype": features.dtype, "precision": "fp32"}
    index = {speaker: number for number, speaker in enumerate((*data.train.speakers, *data.validation.speakers))}
    n_features = encoder.head.linear.in_features
    trials = build_validation_trials(config, data)
    for utterances in (sample_utterances(data.corpus, features.n_whole, seed=config.seed), trials.utterances):
        key = utterances_key(
            encoder,
            utterances,
            batch_size=evaluation.batch_size,
            max_seconds=evaluation.max_seconds,
            crop_seconds=None,
            **common,
        )
        voices = Voices([index[each.speaker_id] for each in utterances], n_features)
        ensure_store(features.folder, key, voices)
    key = crops_key(encoder, data.train, crops_per_item=1, batch_size=features.batch_size, **common)
    ensure_store(features.folder, key, Voices(data.train.classes, n_features))


@pytest.mark.benchmark(group="head")
def test_eight_epochs_on_stored_vectors(benchmark, config, tmp_path):
    fabric, (run_dir, _) = build_fabric(config.hardware), find_run(config.logging, "never")
    plan = RunPlan(config, read_data(config), run_dir, cache_dir=tmp_path)
    fill_stores(prepare(plan, fabric, ranks_of(fabric)))
    report = benchmark.pedantic(train, args=(config,), kwargs={"cache_dir": tmp_path}, rounds=1, iterations=1)
    assert report.epochs == 8
    assert len(report.verdict.widths) == 6
