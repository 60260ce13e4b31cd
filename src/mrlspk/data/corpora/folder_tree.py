"""Read a corpus that is a tree of folders: ``speaker/session/file`` or ``speaker/file``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.first_files import has_folder
from mrlspk.data.corpora.likely_corpus import (
    DEPTHS,
    corpus_above,
    corpus_below,
    corpus_of_speaker,
    corpus_of_splits,
)
from mrlspk.data.corpora.walk import AudioTree, walk_audio
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.utterance_ids import printable, session_of, speaker_of
from mrlspk.errors import DataError

NEARLY_ALL = 9  # files without a speaker for each that has one


class FolderTree:
    """The recipe of a tree of folders; an utterance id is the path of its file relative to the tree."""

    name = "folders"
    layout = "speaker/session/file or speaker/file"

    def recognises(self, path: Path) -> bool:
        """Return whether ``path`` is a folder."""
        return has_folder(path)

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the audio files at both depths; those at any other depth have no known speaker and are left out.

        Raises:
            DataError: If the folder is absent, cannot be listed, or holds no audio at these depths.
        """
        tree = walk_audio(path)
        ids = [audio_id for audio_id in tree.files if _has_speaker(audio_id)]
        if not ids:
            raise _without_audio(tree, self.layout)
        misplaced = tuple(audio_id for audio_id in tree.files if not _has_speaker(audio_id))
        problems = (*tree.problems(), *_level_problems(tree, ids, misplaced, self.layout))
        return CorpusListing(_utterances(path, ids), misplaced, tree.left_out, problems)


def _has_speaker(audio_id: str) -> bool:
    return audio_id.count("/") + 1 in DEPTHS


def _without_audio(tree: AudioTree, layout: str) -> DataError:
    """Return the error for a tree without a speaker: what is in it, and what is wrong with the rest."""
    found = f"got {printable(tree.files[0])!r}" if tree.files else "got no audio at all"
    others = "".join(f"; {problem.message}" for problem in tree.problems())
    likely = corpus_below(tree.root, tree.files)
    if likely is None and tree.files:
        likely = corpus_above(tree.root)
    hint = f" {printable(likely)} looks like it." if likely else ""
    fix = f"Name the folder whose subfolders are the speakers.{hint}"
    return DataError(f"expected {layout}, {found}{others}", tree.root, fix)


def _level_problems(tree: AudioTree, ids: Sequence[str], misplaced: Sequence[str], layout: str) -> Iterator[Problem]:
    """Yield an error if nearly all audio has no speaker, and a warning if the folder seems to be at another level."""
    root = printable(tree.root)
    if len(misplaced) > NEARLY_ALL * len(ids):
        likely = corpus_below(tree.root, misplaced)
        hint = f"; {printable(likely)} looks like the corpus" if likely else ""
        what = f"expected {layout}: {len(misplaced):,} of {len(tree.files):,} files have no speaker{hint}"
        yield error("no_speaker", root, what)
    elif likely := corpus_of_splits(tree.root, {speaker_of(each) for each in ids}):
        yield warning("level", root, f"its speakers are called as parts of a corpus: name {printable(likely)}")
    elif all(each.count("/") == 1 for each in ids) and (likely := corpus_of_speaker(tree.root)):
        yield warning("level", root, f"may be one speaker of many: {printable(likely)} looks like the corpus")


def _utterances(root: Path, ids: Sequence[str]) -> Iterator[Utterance]:
    """Yield the utterances."""
    prefix = str(root / "_")[:-1]
    for id_ in ids:
        yield Utterance(id_, speaker_of(id_), session_of(id_), FileSource(prefix + id_))
