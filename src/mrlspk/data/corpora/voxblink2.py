"""VoxBlink2: ``speaker/video/utterance``, in folders or packed in tar files."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from mrlspk.data.audio.formats import AUDIO_SUFFIXES
from mrlspk.data.audio.source import list_tar
from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.first_files import every_name, first_audio, has_file, names_in
from mrlspk.data.corpora.path_tree import PathTree
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError

# The project publishes links and times of YouTube videos: whoever downloads them makes the files, and few get all.
VOXBLINK2 = CorpusFacts(
    name="voxblink2",
    title="VoxBlink2",
    paper="Lin et al. 2024, arXiv:2407.11510",
    url="https://voxblink2.github.io",
    licence="CC BY-NC-SA 4.0 (annotation); the copyright of the recordings stays with their owners",
    counts={"voxblink2": PublishedCounts(111_284, 9_904_382)},
)
LOOKED_AT = 20  # members of a tar
_FILE = re.compile(r"(?:.*/)?(?P<id>(?P<session>(?P<speaker>id\d{6})/[\w-]{11})/\d{5}\.\w+)")
_SPEAKER = re.compile(r"id\d{6}")


class VoxBlink2(PathTree):
    """A tar, a folder of tars, or the tree itself; of a member the id begins with the speaker."""

    facts = VOXBLINK2
    name = VOXBLINK2.name
    layout = "speaker/video/number.wav, in folders or uncompressed tar files"

    def recognises(self, path: Path) -> bool:
        """Return whether the first files, or the first members of the first tar, are named as in the corpus."""
        if tars := _tars(path):
            return _is_of_corpus(tars[0])
        files = first_audio(path) if every_name(path, _SPEAKER.fullmatch) else []
        return bool(files) and all(map(_FILE.fullmatch, files))

    def has_files(self, path: Path) -> bool:
        """Return whether each utterance is a file of its own and no member of a tar."""
        return not _tars(path)

    def speaker_and_session(self, path: str) -> tuple[str, str] | None:
        """Return speaker and video of a file."""
        found = _FILE.fullmatch(path)
        return (found["speaker"], found["session"]) if found else None

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the files of the tree, or of all tars.

        Raises:
            DataError: If the folder or a tar cannot be read, or holds no such file.
        """
        if not (tars := _tars(path)):
            return super().list_utterances(path)
        misplaced = list[str]()
        utterances = UtteranceTable.of(each for tar in tars for each in _members(tar, misplaced))
        if not utterances:
            raise DataError(f"expected {self.layout}, got no such member", path, "Name another file or folder.")
        return CorpusListing(utterances, tuple(misplaced))


def _tars(path: Path) -> list[Path]:
    """Return the tar files that ``path`` is or holds, in order."""
    if path.suffix == ".tar" and has_file(path):
        return [path]
    if not any(name.endswith(".tar") for name in names_in(path)):
        return []
    return sorted(each for each in path.glob("*.tar") if not each.name.startswith("."))


def _is_of_corpus(tar: Path) -> bool:
    try:
        with tarfile.open(tar, "r:") as file:
            first = [member.name for _, member in zip(range(LOOKED_AT), file, strict=False) if member.isfile()]
    except (OSError, tarfile.TarError):
        return False
    audio = [name for name in first if Path(name).suffix.lower() in AUDIO_SUFFIXES]
    return bool(audio) and all(map(_FILE.fullmatch, audio))


def _members(tar: Path, misplaced: list[str]) -> Iterator[Utterance]:
    """Yield the utterances in a tar and collect other audio."""
    for member in list_tar(tar):
        if member.suffix not in AUDIO_SUFFIXES:
            continue
        if found := _FILE.fullmatch(member.name):
            yield Utterance(found["id"], found["speaker"], found["session"], member)
        else:
            misplaced.append(f"{tar.name}:{member.name}")
