"""Speakers held out in turn, so that a rotation is chosen by speakers who had no part in it, and by all of them."""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.trials import generate_trials
from mrlspk.errors import DataError
from mrlspk.rotation.selection import EmbeddedTrials, Fold, SpeakerEmbeddings

N_FOLDS = 5
FEWEST_SPEAKERS = 4  # two to hold out, and two to fit on
TRIALS_PER_FOLD = 10_000
# What a choice is made on, unless somebody says otherwise: utterances of a speaker, speakers, and the length of a crop.
CHOICE_UTTERANCES, CHOICE_SPEAKERS, CHOICE_SECONDS = 10, 1000, 1.0

type Vectors = Mapping[str, NDArray[np.floating]]


def draw_utterances(corpus: Manifest, *, per_speaker: int, max_speakers: int, seed: int) -> Manifest:
    """Return so many utterances of so many speakers, or all where there are fewer, drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    groups = corpus.by_speaker()
    speakers = sorted(rng.permutation(corpus.speakers)[:max_speakers].tolist())
    drawn = {
        utterance
        for speaker in speakers
        for utterance in (groups[speaker][index] for index in rng.permutation(len(groups[speaker]))[:per_speaker])
    }
    return Manifest(corpus.root, tuple(filter(drawn.__contains__, corpus.utterances)))


def sample_utterances(corpus: Manifest, n_utterances: int, *, seed: int) -> tuple[Utterance, ...]:
    """Return so many utterances, or all, in the order of the corpus, and one more of each speaker whom the draw missed.

    They are as unevenly shared out among the speakers as in the corpus itself.
    """
    order = np.random.default_rng(seed).permutation(len(corpus.utterances)).tolist()
    drawn = set(order[:n_utterances])
    heard = {corpus.utterances[index].speaker_id for index in drawn}
    for index in order[n_utterances:]:
        if (speaker := corpus.utterances[index].speaker_id) not in heard:
            drawn.add(index)
            heard.add(speaker)
    return tuple(utterance for index, utterance in enumerate(corpus.utterances) if index in drawn)


def with_speaker(corpus: Manifest, embeddings: Vectors) -> SpeakerEmbeddings:
    """Return the embeddings of a corpus, in its order, and who speaks."""
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    vectors = np.stack([embeddings[utterance.utterance_id] for utterance in corpus.utterances])
    return SpeakerEmbeddings(vectors, np.array([index[utterance.speaker_id] for utterance in corpus.utterances]))


def check_speakers(corpus: Manifest, utterance_ids: Collection[str] | None = None) -> list[str]:
    """Return the speakers that can be held out: those with two utterances, among ``utterance_ids`` where it is given.

    Raises:
        DataError: If they are too few.
    """
    counts = Counter(
        utterance.speaker_id
        for utterance in corpus.utterances
        if utterance_ids is None or utterance.utterance_id in utterance_ids
    )
    speakers = [speaker for speaker in corpus.speakers if counts[speaker] > 1]
    if len(speakers) < FEWEST_SPEAKERS:
        kind = "two files" if utterance_ids is None else "two files long enough"
        raise DataError(
            f"to choose a rotation {FEWEST_SPEAKERS} speakers with {kind} are needed, got {len(speakers)}",
            corpus.root,
            "Name more speech, or take --method svd, which leaves no choice.",
        )
    return speakers


def draw_folds(corpus: Manifest, whole: Vectors, crops: Vectors, *, seed: int) -> tuple[Fold, ...]:
    """Return up to `N_FOLDS` folds; each speaker with two crops is held out in one, the others are always fitted on.

    Trials are of crops: a model that was trained on these speakers hardly errs on whole utterances of theirs, and only
    errors can tell rotations apart. One second is better than two: over five folds of the shared speech the order of
    methods then agreed best with their order on unseen speakers.

    Args:
        corpus: Whose utterances all have an embedding in ``whole``.
        whole: (embed_dim,) by utterance id, of whole utterances: what is fitted on.
        crops: The same of short crops, of those utterances that are long enough.
        seed: Of the folds and the trials.

    Raises:
        DataError: If too few speakers have two crops.
    """
    speakers = check_speakers(corpus, crops)
    order = np.random.default_rng(seed).permutation(speakers)
    groups = np.array_split(order, min(N_FOLDS, len(speakers) // 2))
    return tuple(_fold(corpus, whole, crops, set(group.tolist()), seed) for group in groups)


def _fold(corpus: Manifest, whole: Vectors, crops: Vectors, speakers: set[str], seed: int) -> Fold:
    others = corpus.without_speakers(speakers)
    utterances = [each for each in corpus.only_speakers(speakers).utterances if each.utterance_id in crops]
    held_out = Manifest(corpus.root, tuple(utterances))
    trials = generate_trials(held_out, TRIALS_PER_FOLD, seed=seed, path=f"generated from {corpus.root}")
    ids = [utterance.utterance_id for utterance in utterances]
    embedded = EmbeddedTrials.of(trials, ids, np.stack([crops[utterance_id] for utterance_id in ids]))
    return Fold(with_speaker(others, whole), embedded)
