"""Read a corpus that is a tree of folders: ``speaker/session/file`` or ``speaker/file``."""

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern

from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio.source import FileSource
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.utterance_ids import printable, session_of, speaker_of
from mrlspk.errors import DataError
from mrlspk.reading import reading

DEPTHS = {2, 3}  # speaker/file and speaker/session/file

log = logging.getLogger("mrlspk.data")


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

    Links to folders are followed, except those that lead back to a folder that they are in; a warning names them.

    Raises:
        DataError: If the folder is absent or cannot be listed.
    """
    with reading(root, DataError, "Check the path."):
        if not root.is_dir():
            what = "expected a folder, got a file" if root.exists() else "no such folder"
            raise DataError(what, root, "Check the path.")
        loops: list[str] = []
        found = sorted(_walk(root, str(root), "", loops))
    if loops:
        more = f" (and {len(loops) - 1} more links)" if len(loops) > 1 else ""
        link = printable(root / min(loops))
        log.warning("%s%s is left out: the link leads back to a folder that it is in", link, more)
    return found


def _utterances(root: Path, ids: Sequence[str]) -> Iterator[Utterance]:
    """Yield the utterances; those of a speaker or session share one string, to save memory."""
    prefix = str(root / "_")[:-1]
    for id_ in ids:
        yield Utterance(id_, intern(speaker_of(id_)), intern(session_of(id_)), FileSource(prefix + id_))


def _walk(root: Path, folder: str, prefix: str, loops: list[str]) -> Iterator[str]:
    """Yield the audio in a folder of a tree; add links that lead back to ``loops``. Both are relative to the tree."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and _leads_back(root, entry):
                loops.append(prefix + entry.name)
            elif entry.is_dir():
                yield from _walk(root, entry.path, f"{prefix}{entry.name}/", loops)
            elif _is_audio(entry):
                yield prefix + entry.name


def _leads_back(root: Path, link: os.DirEntry[str]) -> bool:
    """Return whether a link leads to itself, to a folder on its path from the root, or to one that holds the root."""
    try:
        if not link.is_dir():
            return False
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return True
    target, path = link.stat(), Path(link.path)
    around = [each for each in path.parents if each.is_relative_to(root)]
    return any(os.path.samestat(target, each.stat()) for each in (*around, *root.resolve().parents))


def _is_audio(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file with the suffix of audio, or such a link whose file is absent.

    Pipes and devices are not audio: reading one might never end.
    """
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - ten times a Path's speed
    return suffix in AUDIO_SUFFIXES and (entry.is_file() or not Path(entry.path).exists())
