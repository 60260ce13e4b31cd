"""speechocean762: Kaldi tables of ``train`` and ``test`` beside the audio in ``WAVE``."""

import re
from collections.abc import Iterator
from pathlib import Path

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.first_files import has_file, has_folder
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.text_tables import read_text_file
from mrlspk.errors import DataError

# The paper's abstract.
SPEECHOCEAN762 = CorpusFacts(
    name="speechocean762",
    title="speechocean762",
    paper="Zhang et al. 2021, arXiv:2104.01378",
    url="https://www.openslr.org/101",
    licence="CC BY 4.0",
    counts={"speechocean762": PublishedCounts(250, 5_000)},
)
PARTS = "train", "test"
AUDIO = "WAVE"
_FILE = re.compile(rf"{AUDIO}/SPEAKER\d{{4}}/\d{{9}}(?:\.\w+)?")
FIX = "Name the folder that holds WAVE, train and test, or its train or test."


class SpeechOcean762:
    """The corpus, or its folder ``train`` or ``test``; ids are paths relative to the corpus, a speaker one session."""

    facts = SPEECHOCEAN762
    name = SPEECHOCEAN762.name
    layout = f"{AUDIO}/SPEAKER0001/*.WAV with train and test, each with wav.scp and utt2spk"

    def recognises(self, path: Path) -> bool:
        """Return whether the folder has the audio and tables, or is one of the two parts beside the audio."""
        root, parts = _root_and_parts(path)
        return has_folder(root / AUDIO) and bool(parts)

    def fits(self, utterance_id: str) -> bool:
        """Return whether an utterance is named as in this corpus."""
        return _FILE.fullmatch(utterance_id) is not None

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the utterances of one part or of both.

        Raises:
            DataError: If a table is absent or cannot be read, or if the tables do not agree.
        """
        root, parts = _root_and_parts(path)
        if not parts:
            raise DataError(f"expected {self.layout}", path, FIX)
        return CorpusListing(each for part in parts for each in _read(root, part))


def _root_and_parts(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder of the corpus, and those folders of its tables that are wanted and there."""
    is_part = path.name in PARTS and has_file(path / "wav.scp")
    root, wanted = (path.parent, [path]) if is_part else (path, [path / part for part in PARTS])
    tables = "wav.scp", "utt2spk"
    return root, [part for part in wanted if all(has_file(part / name) for name in tables)]


def _read(root: Path, part: Path) -> Iterator[Utterance]:
    speakers = _pairs(part / "utt2spk")
    for utterance_id, location in _pairs(part / "wav.scp").items():
        if utterance_id not in speakers:
            raise DataError(f"expected the speaker of {utterance_id}, which wav.scp has", part / "utt2spk", FIX)
        speaker = speakers[utterance_id]
        yield Utterance(location, speaker, speaker, FileSource(str(root / location)))


def _pairs(path: Path) -> dict[str, str]:
    """Return the second word of each line by the first.

    Raises:
        DataError: If a line has not two words.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_text_file(path, "two words a line").lines, start=1):
        words = line.split()
        if words and len(words) != 2:
            raise DataError(f"expected two words, got {len(words)}", f"{path}:{number}", "Download the table again.")
        if words:
            pairs[words[0]] = words[1]
    return pairs
