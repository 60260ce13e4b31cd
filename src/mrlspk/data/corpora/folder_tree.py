"""Read a corpus that is a tree of folders: ``speaker/session/file`` or ``speaker/file``."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern

from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio_source import FileSource
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.utterance_ids import printable, session_of, speaker_of
from mrlspk.errors import DataError
from mrlspk.reading import reading

DEPTHS = {2, 3}  # speaker/file and speaker/session/file


class FolderTree:
    """The recipe of a tree of folders; an utterance id is the path of its file relative to the tree."""

    layout = "speaker/session/file.(wav|flac|ogg|m4a|aac|mp3)"

    def recognises(self, path: Path) -> bool:
        """Return whether ``path`` is a folder."""
        return is_folder(path)

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the audio files at both depths; those at any other depth have no known speaker and are left out.

        Raises:
            DataError: If the folder is absent, cannot be listed, or holds no audio at these depths.
        """
        found = list_audio(path)
        ids = [audio_id for audio_id in found if audio_id.count("/") + 1 in DEPTHS]
        if not ids:
            example = f", got {printable(found[0])!r}" if found else ", got no audio at all"
            fix = "Name the folder whose subfolders are the speakers."
            raise DataError(f"expected {self.layout}{example}", path, fix)
        left_out = tuple(audio_id for audio_id in found if audio_id.count("/") + 1 not in DEPTHS)
        return CorpusListing(tuple(_utterances(path, ids)), left_out)


def is_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder; False if that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def list_audio(root: Path) -> list[str]:
    """Return the paths of all audio files under ``root``, relative to it, sorted; hidden files and folders are skipped.

    Raises:
        DataError: If the folder is absent or cannot be listed.
    """
    with reading(root, DataError, "Check the path."):
        if not root.is_dir():
            what = "expected a folder, got a file" if root.exists() else "no such folder"
            raise DataError(what, root, "Check the path.")
        return sorted(_walk(str(root), ""))


def _utterances(root: Path, ids: Sequence[str]) -> Iterator[Utterance]:
    """Yield the utterances; those of a speaker or session share one string, to save memory."""
    prefix = str(root / "_")[:-1]
    for id_ in ids:
        yield Utterance(id_, intern(speaker_of(id_)), intern(session_of(id_)), FileSource(prefix + id_))


def _walk(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122 - ten times a Path's speed
                yield prefix + entry.name
