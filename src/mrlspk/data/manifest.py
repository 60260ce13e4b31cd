"""Which utterances a corpus has, and whose they are, read from its folders alone."""

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern

from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio_source import AudioSource, FileSource
from mrlspk.data.names import check_name, printable
from mrlspk.errors import DataError

logger = logging.getLogger("mrlspk.data")

LAYOUT = "speaker/session/file.(wav|flac|ogg|m4a|aac|mp3)"
DEPTHS = {2, 3}  # speaker/file and speaker/session/file


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus.

    Attributes:
        utterance_id: Unique in the corpus; of a file, its path relative to the corpus, with forward slashes.
        speaker_id: Who speaks.
        session_id: When and where; two utterances of one speaker with the same id are of one session.
        source: Where the audio is.
    """

    utterance_id: str
    speaker_id: str
    session_id: str
    source: AudioSource

    @property
    def path(self) -> Path:
        """The file of the audio.

        Raises:
            DataError: If the audio is not a file of its own.
        """
        if self.source.path is None:
            raise DataError("expected a file of its own", str(self.source))
        return self.source.path


@dataclass(frozen=True)
class Manifest:
    """The utterances of a corpus in the order of their ids."""

    root: Path
    utterances: tuple[Utterance, ...]

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speaker ids, sorted."""
        return tuple(sorted({utterance.speaker_id for utterance in self.utterances}))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the utterance ids: the same for the same files, wherever they lie."""
        return hashlib.sha256("\n".join(utterance.utterance_id for utterance in self.utterances).encode()).hexdigest()

    def by_speaker(self) -> dict[str, tuple[Utterance, ...]]:
        """Return the utterances of each speaker, speakers and utterances in order."""
        groups: dict[str, list[Utterance]] = {speaker: [] for speaker in self.speakers}
        for utterance in self.utterances:
            groups[utterance.speaker_id].append(utterance)
        return {speaker: tuple(group) for speaker, group in groups.items()}

    def only_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the part spoken by ``speakers``."""
        return self._where(lambda utterance: utterance.speaker_id in speakers)

    def without_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the part spoken by anybody else."""
        return self._where(lambda utterance: utterance.speaker_id not in speakers)

    def _where(self, keep: Callable[[Utterance], bool]) -> "Manifest":
        return Manifest(self.root, tuple(filter(keep, self.utterances)))


def speaker_of(utterance_id: str) -> str:
    """Return the speaker id: the first part of an utterance id."""
    return utterance_id.partition("/")[0]


def session_of(utterance_id: str) -> str:
    """Return the folder of an utterance id, speaker included."""
    return utterance_id.rpartition("/")[0]


def scan_corpus(root: Path) -> Manifest:
    """Return the manifest of a tree ``speaker/session/file`` or ``speaker/file``; no audio is opened.

    Audio at any other depth has no known speaker: it is left out, and its number logged as a warning.

    Raises:
        DataError: If the folder is absent, cannot be listed, or holds no audio at these depths, or if a trial list
            cannot hold the name of an utterance.
    """
    found = list_audio(root)
    ids = [audio_id for audio_id in found if audio_id.count("/") + 1 in DEPTHS]
    misplaced = len(found) - len(ids)
    if not ids:
        example = f", got {printable(found[0])!r}" if found else ", got no audio at all"
        raise DataError(f"expected {LAYOUT}{example}", root, "Name the folder whose subfolders are the speakers.")
    for audio_id in ids:
        check_name(audio_id, root)
    if misplaced:
        logger.warning("%s: %d audio files that are not at %s are left out", root, misplaced, LAYOUT)
    return Manifest(root, tuple(_utterances(root, ids)))


def _utterances(root: Path, ids: Sequence[str]) -> Iterator[Utterance]:
    """Yield utterances; those of a speaker or session share one string, of which a million would take memory."""
    prefix = str(root / "_")[:-1]
    for id_ in ids:
        yield Utterance(id_, intern(speaker_of(id_)), intern(session_of(id_)), FileSource(prefix + id_))


def list_audio(root: Path) -> list[str]:
    """Return the paths of all audio under ``root``, relative to it, sorted; hidden files and folders are not there.

    Raises:
        DataError: If the folder is absent or cannot be listed.
    """
    if not root.is_dir():
        what = "expected a folder, got a file" if root.exists() else "no such folder"
        raise DataError(what, root, "Check the path.")
    try:
        return sorted(_walk(str(root), ""))
    except OSError as error:
        raise DataError(f"cannot be listed ({error.strerror})", error.filename or root) from error


def _walk(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122 - ten times a Path's speed
                yield prefix + entry.name
