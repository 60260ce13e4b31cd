"""LibriSpeech: a part, or the folder of several parts, of ``speaker/chapter/speaker-chapter-number.flac``."""

import re
from dataclasses import replace
from pathlib import Path

from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.first_files import every_name, first_audio, names_in
from mrlspk.data.corpora.path_tree import PathTree
from mrlspk.data.manifest import CorpusListing
from mrlspk.data.problems import warning
from mrlspk.data.utterance_ids import printable

# Speakers: the paper's table 1. Utterances: the card of the data set librispeech_asr on the Hugging Face Hub.
LIBRISPEECH = CorpusFacts(
    name="librispeech",
    title="LibriSpeech",
    paper="Panayotov, Chen, Povey, Khudanpur, ICASSP 2015",
    url="https://www.openslr.org/12",
    licence="CC BY 4.0",
    counts={
        "librispeech-dev-clean": PublishedCounts(40, 2_703),
        "librispeech-dev-other": PublishedCounts(33, 2_864),
        "librispeech-test-clean": PublishedCounts(40, 2_620),
        "librispeech-test-other": PublishedCounts(33, 2_939),
        "librispeech-train-clean-100": PublishedCounts(251, 28_539),
        "librispeech-train-clean-360": PublishedCounts(921, 104_014),
        "librispeech-train-other-500": PublishedCounts(1_166, 148_688),
    },
)
_PARTS = {name.removeprefix("librispeech-") for name in LIBRISPEECH.counts}
_FILE = re.compile(r"(?:[a-z]+-[a-z]+(?:-\d+)?/)?(?P<speaker>\d+)/(?P<chapter>\d+)/(?P=speaker)-(?P=chapter)-\d+\.\w+")


class LibriSpeech(PathTree):
    """A chapter is a session; every speaker is in one part only."""

    facts = LIBRISPEECH
    name = LIBRISPEECH.name
    layout = "speaker/chapter/speaker-chapter-number.flac"

    def recognises(self, path: Path) -> bool:
        """Return whether the folder is a part, or holds parts, and its first files are named as in the corpus."""
        is_likely = not _PARTS.isdisjoint(names_in(path)) or every_name(path, str.isdecimal)
        files = first_audio(path) if is_likely else []
        return bool(files) and all(map(_FILE.fullmatch, files))

    def speaker_and_session(self, path: str) -> tuple[str, str] | None:
        """Return the speaker and the chapter of a file."""
        found = _FILE.fullmatch(path)
        return (found["speaker"], f"{found['speaker']}/{found['chapter']}") if found else None

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the files of one part or of all parts in a folder; several parts are a warning.

        Raises:
            DataError: If the folder is absent or cannot be listed, or if no file has this layout.
        """
        listing = super().list_utterances(path)
        parts = sorted({top for each in listing.utterances if not (top := each.utterance_id.split("/")[0]).isdecimal()})
        if len(parts) < 2:
            return listing
        problem = warning("level", printable(path), f"holds the parts {', '.join(parts)}: name one to use it alone")
        return replace(listing, problems=(*listing.problems, problem))
