"""Store the pooled vectors of one frozen backbone: training speech and the three lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config.data import DataConfig
from mrlspk.data.audio.source import FileSource
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.trials import Trials, read_trials, trial_speakers
from mrlspk.data.utterance_ids import session_of, speaker_of
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.feature_store.extraction import ensure_crops, ensure_utterances
from mrlspk.feature_store.store import FeatureStore
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.fingerprint import model_fingerprint

LISTS = {"english": "test", "crosslingual": "test", "short": "test-short"}
LANGUAGES = {"ls": "English", "ar": "Arabic"}
N_FOLDS, ENGLISH_A_FOLD = 3, 40  # the Arabic speakers are divided among the folds
FEWEST_SPEAKERS = 4  # of a language, for a meaningful set of trials
PLAIN_PASSES = 2  # crops without augmentation, for the trials among held-out speakers
MOST_TARGET, MOST_NONTARGET = 4_000, 20_000  # trials of a language in a fold


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
    """Speakers to fit on, by index, and trials among the others, one set per language."""

    speakers: NDArray[np.int64]
    held_out: tuple[ScoredSet, ...]


@dataclass(frozen=True, eq=False)
class Material:
    """The inputs of a recipe.

    Attributes:
        name: Name of the backbone.
        encoder: Frozen backbone with its own head.
        whole: Pooled vectors of whole training utterances, (utterances, in_features).
        speaker_index: Speaker of each utterance, (utterances,).
        crops: Feature store of augmented crops: row ``k * utterances x speeds + index``.
        crop_classes: Class (speaker at a speed) of each row of the store.
        n_speakers: Training speakers.
        folds: Folds for choosing a recipe.
        lists: Trial lists for the final results; no recipe is chosen or fitted on them.
        fingerprint: Fingerprint of backbone and pooled vectors.
        fold_fingerprint: Fingerprint of the held-out speakers.
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
    fold_fingerprint: dict[str, object]


def gather(
    name: str, model: Path, speech: Path, work: Path, *, data: DataConfig, passes: int, unseen: Sequence[str]
) -> Material:
    """Return the material of one backbone; existing stores are reused.

    Args:
        name: Name of the backbone.
        model: Its checkpoint.
        speech: The shared speech.
        work: Folder of the stores.
        data: Crop length, speeds and augmentation.
        passes: Crops of every utterance at every speed.
        unseen: Speakers that the backbone was not trained on: the only fold, if there are any.
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
    stored = {"batch_size": 64, "num_workers": 1, "dtype": "float16", "precision": "fp32", "folder": work / "features"}
    crops = ensure_crops(encoder, dataset, crops_per_item=passes, **stored)
    plain = CropDataset(corpus, crop_seconds=data.chunk_duration, seed=1)
    probes = _rows(ensure_crops(encoder, plain, crops_per_item=PLAIN_PASSES, **stored))
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    folds = [unseen] if unseen else draw_folds(corpus)
    return Material(
        name=name,
        encoder=encoder,
        whole=_rows(ensure_utterances(encoder, corpus.utterances, **options)),
        speaker_index=np.array([index[each.speaker_id] for each in corpus.utterances], np.int64),
        crops=crops,
        crop_classes=dataset.classes_of(passes),
        n_speakers=len(corpus.speakers),
        folds=tuple(_fold(corpus, probes, held_out, index) for held_out in folds),
        lists=tuple(_list(each, root, encoder, speech, options) for each, root in LISTS.items()),
        fingerprint={"model": model_fingerprint(encoder), "crops": crops.key},
        fold_fingerprint={"folds": [sorted(each) for each in folds], "trials": [MOST_TARGET, MOST_NONTARGET]},
    )


def draw_folds(corpus: Manifest) -> list[list[str]]:
    """Return groups of speakers with two utterances; no speaker is in two of them."""
    groups = corpus.by_speaker()
    rng = np.random.default_rng(0)
    folds: list[list[str]] = [[] for _ in range(N_FOLDS)]
    for prefix in LANGUAGES:
        eligible = [each for each in corpus.speakers if each.startswith(prefix) and len(groups[each]) > 1]
        order = rng.permutation(eligible).tolist()
        for number, fold in enumerate(folds):
            fold += order[number::N_FOLDS][:ENGLISH_A_FOLD]
    return folds


def _fold(corpus: Manifest, probes: Tensor, held_out: Sequence[str], index: dict[str, int]) -> Fold:
    fitted = np.array([number for speaker, number in index.items() if speaker not in set(held_out)], np.int64)
    by_language = [[each for each in held_out if each.startswith(prefix)] for prefix in LANGUAGES]
    enough = [speakers for speakers in by_language if len(speakers) >= FEWEST_SPEAKERS]
    return Fold(fitted, tuple(_held_out(corpus, probes, speakers) for speakers in enough))


def _held_out(corpus: Manifest, probes: Tensor, speakers: Sequence[str]) -> ScoredSet:
    """Return trials among speakers of one language; target trials cross sessions if a speaker has several."""
    n = len(corpus.utterances)
    rows = [
        row for row, utterance in enumerate(corpus.utterances * PLAIN_PASSES) if utterance.speaker_id in set(speakers)
    ]
    of = [corpus.utterances[row % n] for row in rows]
    speaker, session = (np.array([name(each.utterance_id) for each in of]) for name in (speaker_of, session_of))
    has_sessions = np.array([len(set(session[speaker == each])) > 1 for each in speaker])
    enroll, test = np.triu_indices(len(rows), 1)
    same = speaker[enroll] == speaker[test]
    utterance = np.array(rows) % n
    apart = np.where(has_sessions[enroll], session[enroll] != session[test], utterance[enroll] != utterance[test])
    rng = np.random.default_rng(0)
    target, nontarget = (
        rng.permutation(np.flatnonzero(kind))[:most]
        for kind, most in ((same & apart, MOST_TARGET), (~same, MOST_NONTARGET))
    )
    ids = [f"{each.utterance_id}#{row // n}" for each, row in zip(of, rows, strict=True)]
    chosen = np.concatenate([target, nontarget])
    sides = (tuple(ids[place] for place in side[chosen]) for side in (enroll, test))
    trials = Trials(*sides, np.arange(len(chosen)) < len(target), path="held out", sha256="")
    return ScoredSet("held out", trials, probes[rows], {each: place for place, each in enumerate(ids)})


def _list(name: str, root: str, encoder: Encoder, speech: Path, options: dict[str, object]) -> ScoredSet:
    trials = read_trials(speech / f"trials-{name}.txt")
    utterances = [
        Utterance(each, speaker_of(each), session_of(each), FileSource(str(speech / root / each)))
        for each in trials.utterance_ids
    ]
    pooled = _rows(ensure_utterances(encoder, utterances, **options))  # type: ignore[arg-type]
    return ScoredSet(name, trials, pooled, {each.utterance_id: row for row, each in enumerate(utterances)})


def _rows(store: FeatureStore) -> Tensor:
    return store.rows(np.arange(store.n_rows))


def languages_of(trials: ScoredTrials) -> dict[str, NDArray[np.bool_]]:
    """Return (trials,) masks by language of the enrolment side; empty if there is only one."""
    prefix = np.array([name[:2] for name in trials.speakers])[trials.enroll_speaker]
    found = {language: prefix == short for short, language in LANGUAGES.items() if (prefix == short).any()}
    return found if len(found) > 1 else {}


torch.set_flush_denormal(True)
