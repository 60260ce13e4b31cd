"""Read a tree of folders whose paths tell speaker and session; the base of the recipes of such corpora."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.first_files import has_folder
from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.utterance_ids import printable
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError

type Match = Callable[[str], tuple[str, str] | None]  # speaker and session of a path; None if it is of another layout


class PathTree(ABC):
    """A recipe whose utterance ids are paths relative to the folder of the corpus.

    Attributes:
        name: For ``--corpus``.
        layout: In a few words, for messages.
    """

    name: str
    layout: str

    @abstractmethod
    def speaker_and_session(self, path: str) -> tuple[str, str] | None:
        """Return speaker and session of a path relative to the corpus; None if the file is of another layout."""

    def has_files(self, path: Path) -> bool:
        """Return whether each utterance of a corpus is the file that its id names below ``path``."""
        return has_folder(path)

    def fits(self, utterance_id: str) -> bool:
        """Return whether an utterance is named as in this corpus, with or without a suffix."""
        return any(self.speaker_and_session(each) is not None for each in (utterance_id, f"{utterance_id}.wav"))

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the audio files of this layout; others are left out.

        Raises:
            DataError: If the folder is absent or cannot be listed, or if no file has this layout.
        """
        return list_tree(path, self.speaker_and_session, self.layout)


def list_tree(root: Path, match: Match, layout: str) -> CorpusListing:
    """Return the audio files below a folder that have a speaker; others are left out.

    Raises:
        DataError: If the folder is absent or cannot be listed, or if no file has a speaker.
    """
    tree = walk_audio(root)
    misplaced = list[str]()
    utterances = UtteranceTable.of(_utterances(root, tree.files, match, misplaced))
    if not utterances:
        found = f"got {printable(tree.files[0])!r}" if tree.files else "got no audio at all"
        others = "".join(f"; {problem.message}" for problem in tree.problems())
        raise DataError(f"expected {layout}, {found}{others}", root, "Name another folder, or another `corpus`.")
    return CorpusListing(utterances, tuple(misplaced), tree.left_out, tuple(tree.problems()))


def _utterances(root: Path, files: Sequence[str], match: Match, misplaced: list[str]) -> Iterator[Utterance]:
    """Yield the utterances and collect the other files."""
    prefix = str(root / "_")[:-1]
    for path in files:
        if found := match(path):
            yield Utterance(path, *found, FileSource(prefix + path))
        else:
            misplaced.append(path)
