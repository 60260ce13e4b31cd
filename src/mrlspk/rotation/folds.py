"""Draw utterances to fit a rotation to, and folds of held-out speakers to select one by."""

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
# Defaults of the selection: utterances per speaker, speakers, and length of a crop.
CHOICE_UTTERANCES, CHOICE_SPEAKERS, CHOICE_SECONDS = 10, 1000, 1.0

type Vectors = Mapping[str, NDArray[np.floating]]


def draw_utterances(corpus: Manifest, *, per_speaker: int, max_speakers: int, seed: int) -> Manifest:
    """Draw up to ``per_speaker`` utterances of up to ``max_speakers`` speakers."""
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
    """Draw up to ``n_utterances``, in the order of the corpus, plus one of each speaker that the draw missed.

    Speakers are as unbalanced as in the corpus.
    """
    order = np.random.default_rng(seed).permutation(len(corpus.utterances)).tolist()
    drawn = set(order[:n_utterances])
    drawn_speakers = {corpus.utterances[index].speaker_id for index in drawn}
    for index in order[n_utterances:]:
        if (speaker := corpus.utterances[index].speaker_id) not in drawn_speakers:
            drawn.add(index)
            drawn_speakers.add(speaker)
    return tuple(utterance for index, utterance in enumerate(corpus.utterances) if index in drawn)


def with_speaker(corpus: Manifest, embeddings: Vectors) -> SpeakerEmbeddings:
    """Return the embeddings of a corpus, in its order, with speaker labels."""
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    vectors = np.stack([embeddings[utterance.utterance_id] for utterance in corpus.utterances])
    return SpeakerEmbeddings(vectors, np.array([index[utterance.speaker_id] for utterance in corpus.utterances]))


def check_speakers(corpus: Manifest, utterance_ids: Collection[str] | None = None) -> list[str]:
    """Return the speakers that can be held out: those with two utterances, among ``utterance_ids`` if given.

    Raises:
        DataError: If there are fewer than `FEWEST_SPEAKERS`.
    """
    counts = Counter(
        utterance.speaker_id
        for utterance in corpus.utterances
        if utterance_ids is None or utterance.utterance_id in utterance_ids
    )
    speakers = [speaker for speaker in corpus.speakers if counts[speaker] > 1]
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
    utterances = [each for each in corpus.only_speakers(speakers).utterances if each.utterance_id in crops]
    held_out = Manifest(corpus.root, tuple(utterances))
    path = f"generated from {corpus.root}"
    trials = generate_trials(held_out, TRIALS_PER_FOLD, seed=seed, path=path, match=match)
    ids = [utterance.utterance_id for utterance in utterances]
    embedded = EmbeddedTrials.of(trials, ids, np.stack([crops[utterance_id] for utterance_id in ids]))
    return Fold(with_speaker(others, whole), embedded, trials)
