"""Find the audio of an utterance in a folder, a Kaldi ``wav.scp`` or a corpus that a recipe reads."""

import os
from functools import cached_property
from pathlib import Path

from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio.source import AudioSource, as_source
from mrlspk.data.choices import AUTO
from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.corpora.path_tree import PathTree
from mrlspk.data.corpora.recipe_registry import find_recipe, recipe_for
from mrlspk.data.manifest_files.wav_scp import read_wav_scp
from mrlspk.errors import DataError
from mrlspk.reading import is_file, is_folder, reading

FIX_PATH = "Check the list and the folder."


class AudioLookup:
    """The audio of utterances in a folder, a ``wav.scp``, or a corpus of another recipe than the tree of folders.

    Args:
        root: The folder, ``wav.scp`` or corpus; a folder that does not exist holds nothing.
        corpus: Its recipe, as `recipe_for` takes it.
    """

    def __init__(self, root: Path, corpus: str = AUTO) -> None:
        self.root = root
        recipe = find_recipe(root) if corpus == AUTO else recipe_for(root, corpus)
        has_files = isinstance(recipe, FolderTree) or (isinstance(recipe, PathTree) and recipe.has_files(root))
        self._recipe = None if has_files else recipe
        self._listings: dict[Path, dict[str, list[str]]] = {}
        self._is_listed = self._recipe is not None or _is_file(root)

    def find(self, utterance_id: str) -> AudioSource | None:
        """Return the audio of an utterance; None if there is none.

        In a folder it is the file of that name (an absolute path is used as it is), or else the one file of that name
        with another audio suffix: a list may say .wav, or nothing, when the files are .m4a. In a ``wav.scp`` it is
        the path on the line of the utterance; as in Kaldi, a relative one starts at the working directory. A recipe
        finds it by the utterance id.

        Raises:
            DataError: If several files match, or the ``wav.scp`` or corpus cannot be read.
        """
        if not self._is_listed:
            path = self._find_file(self.root / utterance_id)
            return None if path is None else as_source(path)
        source = self._listed.get(utterance_id)
        return source if source is not None and _exists(source) else None

    def _find_file(self, path: Path) -> Path | None:
        if _is_file(path):
            return path
        by_stem = self._listing(path.parent)
        names = {*by_stem.get(path.name, ())}
        if path.suffix.lower() in AUDIO_SUFFIXES:
            names |= {*by_stem.get(path.stem, ())}
        found = [path.with_name(name) for name in sorted(names) if _is_file(path.with_name(name))]
        if len(found) > 1:
            some = " and ".join(each.name for each in found)
            raise DataError(f"not there, but {some} are", path, "Keep one of them, or name one in the list.")
        return found[0] if found else None

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """Return the names of audio in a folder by stem; each folder is listed once, not asked for every suffix."""
        if folder not in self._listings:
            by_stem: dict[str, list[str]] = {}
            if is_folder(folder, DataError, FIX_PATH):
                with reading(folder, DataError, FIX_PATH):
                    names = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
                for name in names:
                    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - ten times a Path's speed
                    if suffix.lower() in AUDIO_SUFFIXES:
                        by_stem.setdefault(stem, []).append(name)
            self._listings[folder] = by_stem
        return self._listings[folder]

    @cached_property
    def _listed(self) -> dict[str, AudioSource]:
        if self._recipe is None:
            return {utterance_id: as_source(path) for utterance_id, (path, _) in read_wav_scp(self.root).items()}
        return {each.utterance_id: each.source for each in self._recipe.list_utterances(self.root).utterances}


def _exists(source: AudioSource) -> bool:
    """Return whether the file of a source exists; sources without a file of their own are trusted."""
    return source.path is None or _is_file(source.path)


def _is_file(path: Path) -> bool:
    return is_file(path, DataError, FIX_PATH)
