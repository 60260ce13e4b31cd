"""Tiny networks, corpora and configurations that tests share."""

import copy
import json

import numpy as np
import soundfile
import torch

from mrlspk.config import Config
from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.data.audio.source import as_source
from mrlspk.inference.recording import Recording
from mrlspk.metrics.width_metrics import DetectionCost, WidthMetrics
from mrlspk.models.checkpoints import encoder_entries
from mrlspk.models.checkpoints.model_card import ModelCard
from mrlspk.models.encoder import build_encoder
from mrlspk.training.records import ValidationResult

RATE = 16_000
TINY_BACKBONE = {"F": 8, "C": 4, "block_1d_type": "conv", "stages_setup": [[1, 1, 1, [[3, 3]], None]]}
TINY = ReDimNetConfig.model_validate(TINY_BACKBONE)
TINY2 = ReDimNet2Config(F=8, C=4, block_1d_type="conv", stages_setup=(((1, 1), 1, 1, ((3, 3),), None),))
TINY_SETTINGS = (
    "model.pretrained.use_pretrained=false",
    f"model.backbone={json.dumps(TINY_BACKBONE)}",
    "model.matryoshka_dims=[4, 8]",
    "training.freeze_backbone_epochs=0",
)  # of the command line

TINY_RUN = {
    "model": {
        "pretrained": {"use_pretrained": False},
        "backbone": TINY_BACKBONE | {"feat_agg_dropout": 0.2},
        "matryoshka_dims": [4, 8],
    },
    "training": {"num_epochs": 3, "batch_size": 4, "learning_rate": 0.01, "freeze_backbone_epochs": 0, "refit": False},
    "head": {"start_decay": 0},
    "data": {
        "val_dataset": None,
        "n_validation_speakers": 2,
        "n_validation_trials": 40,
        "chunk_duration": 0.4,
        "sampler": "speaker_balanced",
        "speed_perturbation": [0.9],
        "crops_per_epoch": 12,
        "num_workers": 0,
    },
    "logging": {"report": False, "tensorboard": False, "log_interval": 1},
}


def tiny_encoder(dims=(8,), *, backbone=TINY, seed=0):
    """Return an encoder of seeded random weights, in evaluation mode; torch's own generator is left as it was."""
    return tiny_model(dims, backbone=backbone, seed=seed)[0]


def tiny_model(dims=(8,), *, backbone=TINY, seed=0):
    """Return `tiny_encoder` and its architecture."""
    architecture = describe_architecture(backbone, tuple(dims))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_encoder(architecture).eval(), architecture


def write_tiny_model(path, dims=(8,), *, backbone=TINY, seed=0, **entries):
    """Write the checkpoint of a tiny encoder, with further entries; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(encoder_entries(*tiny_model(dims, backbone=backbone, seed=seed)) | entries, path)
    return path


def write_voices(root, n_speakers=4, *, sessions=("a", "b"), files=("1", "2"), seconds=0.5, seed=0, syllables=False):
    """Write noisy tones, one pitch for each speaker, to ``speakerN/SESSION/FILE.wav`` for each session and file.

    With ``syllables`` they swell and fade four times a second, as speech does; a detector takes even tones for noise.
    """
    generator, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    loudness = np.abs(np.sin(4 * np.pi * time)) if syllables else 1
    for speaker in range(n_speakers):
        for session in sessions:
            for number, name in enumerate(files, start=1):
                path = root / f"speaker{speaker}" / session / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                voice = np.sin(2 * np.pi * (120 + 90 * speaker + 10 * number) * time)
                soundfile.write(path, loudness * (0.2 * voice + 0.05 * generator.normal(size=len(time))), RATE)
    return root


def tiny_run(corpus, **sections):
    """Return the values of a tiny run on a corpus; ``sections`` are merged into those of `TINY_RUN`."""
    values = copy.deepcopy(TINY_RUN)
    values["data"]["train_dataset"] = str(corpus)
    for section, changes in sections.items():
        values[section] = values.get(section, {}) | changes
    return values


def tiny_config(corpus, **sections):
    """Return `tiny_run` as a configuration."""
    return Config.model_validate(tiny_run(corpus, **sections))


def model_card(**fields):
    """Return a model card of a tiny run."""
    data = {"folder": "dev", "speakers": 30, "utterances": 120, "fingerprint": "2" * 64}
    trials = {"description": "500 trials", "sha256": "3" * 64, "n_target": 200, "n_nontarget": 300, "p_target": 0.01}
    entry = {"title": "a run", "mrlspk_version": "1", "family": "redimnet", "parameters": 1, "dims": (8,), "base": None}
    return ModelCard.model_validate({**entry, "data": data, "trials": trials, **fields})


def validated(loss, eer, min_dcf, mean_log_eer):
    """Return the result of a validation, with EER and minDCF by width."""
    widths = (
        WidthMetrics(dim, rate, dcf=(DetectionCost(0.05, min_dcf[dim]),) if dim in min_dcf else ())
        for dim, rate in eer.items()
    )
    return ValidationResult(loss, tuple(widths), mean_log_eer)


def recording_of(path, crop_seconds=None):
    """Return the recording of a file."""
    return Recording(as_source(path), crop_seconds)
