"""Find wrong speakers in a corpus: embed its utterances with a model, and compare their voices."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.problems import Problem, warning
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.evaluation.embedder import Embedder, build_embedder
from mrlspk.evaluation.wrong_speakers.search import FEWEST_SPEAKERS, WrongSpeakers, search_voices
from mrlspk.evaluation.wrong_speakers.two_voices import FEWEST_UTTERANCES
from mrlspk.evaluation.wrong_speakers.voices import Vectors, Voices
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.recording import SILENT, EmbeddedRecording, Recording

EMBEDDED_AT_ONCE = 4096  # utterances whose embeddings are in memory

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True)
class VoiceCheck:
    """Voices of a corpus that do not go with its speakers.

    Attributes:
        n_embedded: Utterances that were compared; not those that are silent or cannot be embedded.
        found: What was found, and by which thresholds; None if there are too few speakers.
        problems: The same as problems of the corpus.
    """

    n_embedded: int
    found: WrongSpeakers | None
    problems: tuple[Problem, ...]

    def entry(self) -> dict[str, Any]:
        """Return the thresholds as a JSON document has them; one that could not be fitted is absent."""
        partings = {"two_voices": self.found.two_voices, "one_voice": self.found.one_voice} if self.found else {}
        return {"embedded": self.n_embedded} | {name: asdict(each) for name, each in partings.items() if each}


def find_wrong_speakers(
    backend: Backend,
    utterances: UtteranceTable,
    *,
    settings: EvaluationConfig | None = None,
    cache_dir: Path | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> VoiceCheck:
    """Embed utterances and report those whose voice is not their speaker's, and speakers with one voice.

    Vectors are kept in a temporary file, so that memory does not grow with them.

    Args:
        backend: The model.
        utterances: Each as its source says.
        settings: Its ``batch_size``, ``max_seconds``, ``speech`` and ``cache`` are used.
        cache_dir: Folder of cached embeddings; None for no cache.
        seed: Of random pairs and halves that the thresholds are fitted to.
        on_progress: Called with (utterances done, utterances).
    """
    with tempfile.TemporaryFile(prefix="mrlspk-voices-") as file:
        embedder = build_embedder(backend, settings or EvaluationConfig(), cache_dir=cache_dir)
        places, vectors = _embed(embedder, utterances, file, on_progress)
        numbers, speaker_index = np.unique(utterances.speaker_index[places], return_inverse=True)
        if len(numbers) < FEWEST_SPEAKERS:
            log.warning("voices are not compared: that needs %d speakers, got %d", FEWEST_SPEAKERS, len(numbers))
            return VoiceCheck(len(places), None, ())
        sessions = _number_sessions(utterances, places)
        found = search_voices(Voices(vectors, speaker_index, len(numbers)), sessions, seed=seed)
        _tell_what_is_not_searched(found)
        speakers = [utterances.speakers[number] for number in numbers]
        return VoiceCheck(len(places), found, tuple(_problems(found, utterances.ids, places, speakers)))


def _embed(
    embedder: Embedder, utterances: UtteranceTable, file: BinaryIO, on_progress: OnProgress | None
) -> tuple[NDArray[np.int64], Vectors]:
    """Return the places of utterances with a voice, and their vectors (utterances, dim), which ``file`` holds."""
    order, kept = np.argsort(utterances.speaker_index, kind="stable"), list[int]()
    for start in range(0, len(order), EMBEDDED_AT_ONCE):
        some = {int(place): Recording(utterances.source(place)) for place in order[start : start + EMBEDDED_AT_ONCE]}
        told = replace(embedder, on_progress=_progress_from(start, len(order), on_progress))
        found = told.try_embed(some.values()).embeddings
        for place, recording in some.items():
            embedded = found.get(recording)
            if embedded is not None and _has_voice(embedded):
                kept.append(place)
                file.write(embedded.vector.astype(np.float32).tobytes())
    file.flush()
    shape = len(kept), embedder.embed_dim
    vectors = np.memmap(file, np.float32, "r", shape=shape) if kept else np.zeros(shape, np.float32)
    return np.array(kept, np.int64), vectors


def _number_sessions(utterances: UtteranceTable, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the session (utterances,) of each, numbered over all speakers."""
    numbers = dict[tuple[str, str], int]()
    sessions = ((each.speaker_id, each.session_id) for each in (utterances[int(place)] for place in places))
    return np.fromiter((numbers.setdefault(each, len(numbers)) for each in sessions), np.int64, len(places))


def _progress_from(start: int, total: int, on_progress: OnProgress | None) -> OnProgress | None:
    """Return a function that tells the progress of some utterances as that of all."""
    return None if on_progress is None else lambda done, _: on_progress(start + done, total)


def _has_voice(embedded: EmbeddedRecording) -> bool:
    """Return whether there is a sound, whose vector has a direction."""
    return SILENT not in embedded.warnings and bool(np.isfinite(embedded.vector).all() and embedded.vector.any())


def _tell_what_is_not_searched(found: WrongSpeakers) -> None:
    if found.two_voices is None:
        log.warning(
            "two voices under one speaker are not searched for: too few speakers have %d utterances", FEWEST_UTTERANCES
        )
    if found.one_voice is None:
        log.warning("one voice under two speakers is not searched for: too few speakers have two utterances")


def _problems(
    found: WrongSpeakers, ids: Sequence[str], places: NDArray[np.int64], speakers: Sequence[str]
) -> Iterator[Problem]:
    if two := found.two_voices:
        for each in found.other_voices:
            like = f"; it is like {speakers[each.nearest]}'s" if each.nearest_ratio >= two.threshold else ""
            ratio = f"{each.ratio:.2f} of the likeness of one voice, expected {two.threshold:.2f} or more"
            expected = f"expected the voice of the other utterances of {speakers[each.speaker]}, got another"
            for place in places[each.rows].tolist():
                yield warning("two_voices", ids[place], f"{expected}: {ratio}{like}")
    for same in found.same_voices:
        first, *others = (speakers[each] for each in same.speakers)
        likely = f"each is linked to another with a probability of {same.probability:.2f} or more"
        yield warning("one_voice", first, f"expected another voice than {', '.join(others)}, got the same: {likely}")
