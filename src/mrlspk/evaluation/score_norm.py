"""Find and embed a cohort, and normalise the scores of trials with it: S-Norm and AS-Norm."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.corpora.recipe_registry import find_recipe, scan_corpus
from mrlspk.data.utterance_ids import speaker_of
from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.embedder import Embeddings, EmbeddingSource
from mrlspk.evaluation.npz_file import open_arrays
from mrlspk.evaluation.stored_vectors import StoredVectors, check_same_model
from mrlspk.evaluation.trial_cosines import Side, Voices, join_voices
from mrlspk.files import file_sha256
from mrlspk.inference.recording import Recording
from mrlspk.metrics.normalisation import cohort_statistics, normalise_scores
from mrlspk.vectors.checks import refuse_unusable
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.speakers import require_speakers

log = logging.getLogger("mrlspk.evaluation")
MIN_VOICES = 2


@dataclass(frozen=True, eq=False)
class Cohort:
    """The speakers of a cohort, one voice each.

    Attributes:
        path: Its folder or file.
        fingerprint: SHA-256 in hex: of the utterance ids of a folder, of the bytes of a file.
        speakers: Names, sorted.
        voices: Of the speakers, each averaged over its recordings.
    """

    path: Path
    fingerprint: str
    speakers: tuple[str, ...]
    voices: Voices


@dataclass(frozen=True)
class CohortSource:
    """A cohort before it is embedded: a corpus of recordings, or a file of stored embeddings."""

    path: Path
    fingerprint: str
    recordings: Mapping[str, AudioSource]
    speaker_by_id: Mapping[str, str]
    stored: Mapping[str, NDArray[np.floating]] | None = None

    def embedded(self, embeddings: Embeddings) -> Cohort:
        """Return the cohort from the embeddings of its recordings, or from the stored ones."""
        vectors = self.stored if self.stored is not None else embeddings.of(self.recordings)
        groups = self._by_speaker
        return Cohort(self.path, self.fingerprint, tuple(groups), join_voices(vectors, groups.values()))

    @property
    def n_speakers(self) -> int:
        """Number of speakers."""
        return len(self._by_speaker)

    @cached_property
    def _by_speaker(self) -> dict[str, list[str]]:
        """The utterance ids of each speaker."""
        groups: dict[str, list[str]] = {}
        for utterance_id, speaker_id in sorted(self.speaker_by_id.items()):
            groups.setdefault(speaker_id, []).append(utterance_id)
        return groups

    @property
    def wanted(self) -> tuple[Recording, ...]:
        """The recordings to embed."""
        return tuple(Recording(source) for source in self.recordings.values())


@dataclass(frozen=True)
class NormRequest:
    """The requested normalisation: S-Norm if ``top_n`` is None, else AS-Norm with the ``top_n`` highest scores."""

    kind: Literal["s", "as"]
    cohort: CohortSource
    top_n: int | None


@dataclass(frozen=True)
class ScoreNorm:
    """A normalisation: S-Norm if ``top_n`` is None, else AS-Norm with the ``top_n`` highest cohort scores."""

    cohort: Cohort
    top_n: int | None


def find_cohort(path: Path, embedder: EmbeddingSource) -> CohortSource:
    """Return the cohort in a folder of speakers or in a file that ``mrlspk embed DIR -o FILE.npz`` wrote.

    For stored vectors it is in a vector file of any format.

    Args:
        path: Folder or .npz file.
        embedder: Stored embeddings of another model or detector of speech are an error, and so are narrower ones.

    Raises:
        DataError: If it is neither, does not fit this model, or has fewer than two speakers.
    """
    if isinstance(embedder, StoredVectors):
        found = _vector_cohort(path, embedder)
    elif find_recipe(path) is not None:
        manifest = scan_corpus(path)
        sources = {utterance.utterance_id: utterance.source for utterance in manifest.utterances}
        speakers = {utterance.utterance_id: utterance.speaker_id for utterance in manifest.utterances}
        found = CohortSource(path, manifest.fingerprint, sources, speakers)
    else:
        stored = _read_embeddings(path, embedder)
        found = CohortSource(path, file_sha256(path), {}, {each: speaker_of(each) for each in stored}, stored)
    if found.n_speakers < MIN_VOICES:
        raise DataError(f"expected at least {MIN_VOICES} speakers, got {found.n_speakers}", path, "Add speakers.")
    return found


def build_norm_request(settings: EvaluationConfig, embedder: EmbeddingSource) -> NormRequest | None:
    """Return the normalisation that the configuration requests; None for plain cosines.

    Args:
        settings: Its ``score_norm``, ``cohort`` and ``top_n`` are used.
        embedder: Embeds the trials; a cohort of stored embeddings must fit it.

    Raises:
        UsageError: If there is no cohort.
        DataError: If the cohort cannot be used.
    """
    if settings.score_norm == "none":
        return None
    if settings.cohort is None:
        raise UsageError(
            "score normalisation needs a cohort", fix="Give `cohort=DIR` of other speakers.", parameter="score_norm"
        )
    cohort = find_cohort(settings.cohort, embedder)
    if settings.score_norm == "s":
        return NormRequest("s", cohort, None)
    n = cohort.n_speakers
    if settings.top_n > n:
        log.warning("%s has %d speakers, fewer than top_n %d; all are used", cohort.path, n, settings.top_n)
    return NormRequest("as", cohort, min(settings.top_n, n))


def join_cohort(request: NormRequest, embeddings: Embeddings) -> ScoreNorm:
    """Return the normalisation with its cohort's embeddings."""
    return ScoreNorm(request.cohort.embedded(embeddings), request.top_n)


def normalise(
    scores: NDArray[np.float64], enroll: Side, test: Side, dims: Sequence[int], norm: ScoreNorm
) -> NDArray[np.float64]:
    """Return the normalised score of each trial at each width, (trials, len(dims)), as ``scores`` is.

    Raises:
        MetricError: If the cohort has fewer speakers than ``top_n``, or its scores are all equal.
    """
    normalised = np.empty_like(scores)
    rows = len(enroll.first) + test.voices
    for column, dim in enumerate(dims):
        voices = np.concatenate([enroll.at_width(dim), test.at_width(dim)])
        statistics = cohort_statistics(voices, norm.cohort.voices.at_width(dim), (dim,), top_n=norm.top_n)
        normalised[:, column] = normalise_scores(scores[:, [column]], enroll.voices, rows, statistics)[:, 0]
    return normalised


def warn_of_overlap(cohort: Cohort, speakers: Sequence[str], where: str) -> None:
    """Warn if speakers of the trials are in the cohort, which would normalise their scores by themselves."""
    if shared := sorted(set(cohort.speakers) & set(speakers)):
        log.warning(
            "%d speakers of %s are also in the cohort, such as %s; use a cohort of other speakers",
            len(shared),
            where,
            shared[0],
        )


def _vector_cohort(path: Path, stored: StoredVectors) -> CohortSource:
    """Return the cohort in a vector file.

    Raises:
        DataError: If it cannot be read, is of another model, or an id has no speaker.
    """
    table = load_vectors(path)
    check_same_model(stored, table, path)
    refuse_unusable(table, path)
    speakers = require_speakers(table.ids, stored.labels, path)
    vectors = dict(zip(table.ids, stored.moved(table.vectors), strict=True))
    return CohortSource(path, file_sha256(path), {}, dict(zip(table.ids, speakers, strict=True)), vectors)


def _read_embeddings(path: Path, embedder: EmbeddingSource) -> dict[str, NDArray[np.floating]]:
    expected = "a folder of speakers or an .npz file written by `mrlspk embed`"
    with open_arrays(path, expected=expected, fix="Check `cohort`.") as arrays:
        ids, vectors, model = arrays["ids"], arrays["embeddings"], str(arrays["fingerprint"])
        speech = str(arrays["speech_detector"]) if "speech_detector" in arrays else ""  # absent in older files
    embed_dim, wanted = embedder.embed_dim, embedder.speech_version or ""
    if model != embedder.fingerprint:
        raise DataError("holds embeddings of another model", path, "Embed the cohort with the model that is scored.")
    if speech != wanted:
        found, expected = (f"the speech that {each} finds" if each else "whole recordings" for each in (speech, wanted))
        raise DataError(
            f"holds embeddings of {found}, and the trials are embedded from {expected}",
            path,
            f"Embed the cohort with `speech={embedder.speech_mode}`.",
        )
    if vectors.shape != (ids.size, embed_dim):
        raise DataError(
            f"expected embeddings of the full width {embed_dim}, got {vectors.shape}", path, "Embed without `dim`."
        )
    if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
        raise DataError("contains an embedding that is zero or not finite", path, "Embed the cohort again.")
    return dict(zip(map(str, ids), vectors, strict=True))
