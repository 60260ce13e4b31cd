"""Draw utterances to fit a rotation to, and folds of held-out speakers to select one by."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.held_out import with_two_utterances
from mrlspk.data.manifest import Manifest
from mrlspk.data.trials import generate_trials
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError
from mrlspk.rotation.selection import EmbeddedTrials, Fold, SpeakerEmbeddings

N_FOLDS = 5
FEWEST_SPEAKERS = 4  # two to hold out, and two to fit on
TRIALS_PER_FOLD = 10_000
# Defaults of the selection: utterances per speaker, speakers, and length of a crop.
CHOICE_UTTERANCES, CHOICE_SPEAKERS, CHOICE_SECONDS = 10, 1000, 1.0

type Vectors = Mapping[str, NDArray[np.floating]]


def draw_utterances(corpus: Manifest, *, per_speaker: int, max_speakers: int, seed: int) -> Manifest:
    """Draw up to ``per_speaker`` utterances of up to ``max_speakers`` speakers."""
    rng, groups = np.random.default_rng(seed), corpus.by_speaker()
    is_drawn = np.zeros(len(corpus.utterances), bool)
    for speaker in sorted(rng.permutation(len(corpus.speakers))[:max_speakers].tolist()):
        places = groups.places_of(speaker)
        is_drawn[places[rng.permutation(len(places))[:per_speaker]]] = True
    return Manifest(corpus.root, corpus.utterances.where(is_drawn))


def sample_utterances(corpus: Manifest, n_utterances: int, *, seed: int) -> UtteranceTable:
    """Draw up to ``n_utterances``, in the order of the corpus, plus one of each speaker that the draw missed.

    Speakers are as unbalanced as in the corpus.
    """
    order = np.random.default_rng(seed).permutation(len(corpus.utterances))
    is_drawn = np.zeros(len(order), bool)
    is_drawn[order[:n_utterances]] = True
    is_drawn[order[np.unique(corpus.speaker_index[order], return_index=True)[1]]] = True  # the first of each speaker
    return corpus.utterances.where(is_drawn)


def with_speaker(corpus: Manifest, embeddings: Vectors) -> SpeakerEmbeddings:
    """Return the embeddings of a corpus, in its order, with speaker labels."""
    vectors = np.stack([embeddings[utterance_id] for utterance_id in corpus.utterance_ids])
    return SpeakerEmbeddings(vectors, corpus.speaker_index)


def check_speakers(corpus: Manifest, utterance_ids: Collection[str] | None = None) -> list[str]:
    """Return the speakers that can be held out: those with two utterances, among ``utterance_ids`` if given.

    Raises:
        DataError: If there are fewer than `FEWEST_SPEAKERS`.
    """
    able = corpus if utterance_ids is None else corpus.only_utterances(utterance_ids)
    speakers = with_two_utterances(able)
    if len(speakers) < FEWEST_SPEAKERS:
        kind = "two files" if utterance_ids is None else "two files that are long enough"
        raise DataError(
            f"selecting a rotation needs {FEWEST_SPEAKERS} speakers with {kind}, got {len(speakers)}",
            corpus.root,
            "Give more speech, or take `method=svd`, which needs no selection.",
        )
    return speakers


def draw_folds(
    corpus: Manifest, whole: Vectors, crops: Vectors, *, seed: int, match: Mapping[str, str] | None = None
) -> tuple[Fold, ...]:
    """Return up to `N_FOLDS` folds; each speaker with two crops is held out in one fold, and fitted on in the others.

    Speakers with fewer crops are always fitted on. Trials are between crops: a model that was trained on these speakers
    hardly errs on their whole utterances, and only errors distinguish rotations. One second is better than two: over
    five folds, the order of methods then agreed best with their order on unseen speakers.

    Args:
        corpus: A corpus; each utterance has an embedding in ``whole``.
        whole: Embeddings (embed_dim,) of whole utterances by utterance id, to fit on.
        crops: Embeddings of short crops, for the utterances that are long enough.
        seed: Seed of folds and trials.
        match: A value for each speaker, such as the corpus, that both speakers of a non-target trial share.

    Raises:
        DataError: If too few speakers have two crops.
    """
    speakers = check_speakers(corpus, crops)
    order = np.random.default_rng(seed).permutation(speakers)
    groups = np.array_split(order, min(N_FOLDS, len(speakers) // 2))
    return tuple(_fold(corpus, whole, crops, set(group.tolist()), seed, match) for group in groups)


def _fold(
    corpus: Manifest,
    whole: Vectors,
    crops: Vectors,
    speakers: set[str],
    seed: int,
    match: Mapping[str, str] | None,
) -> Fold:
    others = corpus.without_speakers(speakers)
    held_out = corpus.only_speakers(speakers).only_utterances(crops)
    path = f"generated from {corpus.root}"
    trials = generate_trials(held_out, TRIALS_PER_FOLD, seed=seed, path=path, match=match)
    ids = held_out.utterance_ids
    embedded = EmbeddedTrials.of(trials, ids, np.stack([crops[utterance_id] for utterance_id in ids]))
    return Fold(with_speaker(others, whole), embedded, trials)
