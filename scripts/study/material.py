"""What the recipes work on: stored pooled vectors of training speech and of the three lists, by one frozen backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config.data import DataConfig
from mrlspk.data.build import build_augmentation
from mrlspk.data.dataset import CropDataset
from mrlspk.data.manifest import Manifest, Utterance, scan_corpus
from mrlspk.data.trials import Trials, generate_trials, read_trials, trial_speakers
from mrlspk.encoding.fingerprint import model_fingerprint
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.training.features.extraction import ensure_crops, ensure_whole
from mrlspk.training.features.store import FeatureStore

LISTS = {"english": "test", "crosslingual": "test", "short": "test-short"}
LANGUAGES = {"ls": "English", "ar": "Arabic"}
N_HELD_OUT, TRIALS_A_FOLD = 40, 20_000


@dataclass(frozen=True, eq=False)
class ScoredSet:
    """Trials and the pooled vectors (utterances, in_features) of their utterances."""

    name: str
    trials: Trials
    pooled: Tensor
    row: dict[str, int]

    def score(self, embeddings: NDArray[np.floating], dims: Sequence[int]) -> ScoredTrials:
        """Return the trials scored by embeddings (utterances, width) at some widths."""
        enroll, test = (
            np.array([self.row[each] for each in side]) for side in (self.trials.enroll_ids, self.trials.test_ids)
        )
        speakers = trial_speakers(self.trials)
        scores = prefix_cosine_scores(embeddings, enroll, test, tuple(dims))
        return ScoredTrials(
            tuple(dims),
            scores,
            self.trials.is_target,
            speakers.enroll_speaker,
            speakers.test_speaker,
            tuple(speakers.names),
        )


@dataclass(frozen=True, eq=False)
class Fold:
    """Speakers to fit on, by index, and trials among the others."""

    speakers: NDArray[np.int64]
    held_out: ScoredSet


@dataclass(frozen=True, eq=False)
class Material:
    """All that a recipe is given.

    Attributes:
        name: Of the backbone.
        encoder: Of which the backbone is frozen and the head is the own one.
        whole: (utterances, in_features) of whole training utterances.
        speaker_index: (utterances,) who speaks, and of the crops one pass after another.
        crops: Augmented crops, stored: row ``k * utterances x speeds + index``.
        crop_classes: (rows of the store,) speaker at a speed.
        n_speakers: Training speakers.
        folds: For choosing recipes.
        lists: For the final figures; no recipe is chosen or fitted on them.
        fingerprint: Of backbone and vectors.
    """

    name: str
    encoder: Encoder
    whole: Tensor
    speaker_index: NDArray[np.int64]
    crops: FeatureStore
    crop_classes: NDArray[np.int64]
    n_speakers: int
    folds: tuple[Fold, ...]
    lists: tuple[ScoredSet, ...]
    fingerprint: dict[str, object]


def gather(
    name: str, model: Path, speech: Path, work: Path, *, data: DataConfig, passes: int, unseen: Sequence[str]
) -> Material:
    """Return the material of one backbone; what is stored already is not made again.

    Args:
        name: Of the backbone.
        model: Its checkpoint.
        speech: The shared speech.
        work: Folder of the stores.
        data: Crop length, speeds and augmentation.
        passes: Crops of every utterance at every speed.
        unseen: Speakers that the backbone was not trained on: the only fold, where there are any.
    """
    encoder = load_model(model).encoder
    corpus = scan_corpus(speech / "train")
    options = {
        "dtype": "float32",
        "batch_size": 16,
        "max_seconds": 60.0,
        "precision": "fp32",
        "folder": work / "features",
    }
    dataset = CropDataset(
        corpus,
        crop_seconds=data.chunk_duration,
        seed=0,
        speeds=(1.0, *data.speed_perturbation),
        augmentation=build_augmentation(data),
    )
    crops = ensure_crops(
        encoder, dataset, crops_per_item=passes, batch_size=64, num_workers=1,
        dtype="float16", precision="fp32", folder=work / "features",
    )  # fmt: skip
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    middle = _rows(ensure_whole(encoder, corpus.utterances, crop_seconds=2.0, **options))
    folds = [unseen] if unseen else draw_folds(corpus)
    return Material(
        name=name,
        encoder=encoder,
        whole=_rows(ensure_whole(encoder, corpus.utterances, **options)),
        speaker_index=np.array([index[each.speaker_id] for each in corpus.utterances], np.int64),
        crops=crops,
        crop_classes=dataset.classes_of(passes),
        n_speakers=len(corpus.speakers),
        folds=tuple(_fold(corpus, middle, held_out, index) for held_out in folds),
        lists=tuple(_list(each, root, encoder, speech, options) for each, root in LISTS.items()),
        fingerprint={
            "model": model_fingerprint(encoder),
            "crops": crops.key,
            "folds": [sorted(each) for each in folds],
        },
    )


def draw_folds(corpus: Manifest, n_folds: int = 2) -> list[list[str]]:
    """Return disjoint groups of speakers with two utterances, as many of each language as the corpus has."""
    groups = corpus.by_speaker()
    eligible = [speaker for speaker in corpus.speakers if len(groups[speaker]) > 1]
    rng = np.random.default_rng(0)
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    for prefix in LANGUAGES:
        speakers = rng.permutation([speaker for speaker in eligible if speaker.startswith(prefix)]).tolist()
        share = round(N_HELD_OUT * len(speakers) / len(eligible))
        for number, fold in enumerate(folds):
            fold += speakers[number * share : (number + 1) * share]
    return folds


def _fold(corpus: Manifest, middle: Tensor, held_out: Sequence[str], index: dict[str, int]) -> Fold:
    part = corpus.only_speakers(set(held_out))
    trials = generate_trials(part, TRIALS_A_FOLD, seed=0, path="held out")
    wanted = set(trials.utterance_ids)
    rows = [number for number, each in enumerate(corpus.utterances) if each.utterance_id in wanted]
    row = {corpus.utterances[number].utterance_id: place for place, number in enumerate(rows)}
    fitted = np.array([number for speaker, number in index.items() if speaker not in set(held_out)], np.int64)
    return Fold(fitted, ScoredSet("held out", trials, middle[rows], row))


def _list(name: str, root: str, encoder: Encoder, speech: Path, options: dict[str, object]) -> ScoredSet:
    trials = read_trials(speech / f"trials-{name}.txt")
    utterances = [Utterance(each, each.partition("/")[0], speech / root / each) for each in trials.utterance_ids]
    pooled = _rows(ensure_whole(encoder, utterances, **options))  # type: ignore[arg-type]
    return ScoredSet(name, trials, pooled, {each.utterance_id: row for row, each in enumerate(utterances)})


def _rows(store: FeatureStore) -> Tensor:
    return store.rows(np.arange(store.n_rows))


def languages_of(trials: ScoredTrials) -> dict[str, NDArray[np.bool_]]:
    """Return (trials,) masks by language of the enrolment side, only where there are several."""
    prefix = np.array([name[:2] for name in trials.speakers])[trials.enroll_speaker]
    found = {language: prefix == short for short, language in LANGUAGES.items() if (prefix == short).any()}
    return found if len(found) > 1 else {}


torch.set_flush_denormal(True)
