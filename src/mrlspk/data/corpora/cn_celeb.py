"""CN-Celeb1 and CN-Celeb2: ``data/speaker/genre-session-number.flac``, and the evaluation files of CN-Celeb1."""

import re
from dataclasses import replace
from pathlib import Path

from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.first_files import every_name, first_audio, names_in
from mrlspk.data.corpora.path_tree import PathTree, list_tree
from mrlspk.data.manifest import CorpusListing
from mrlspk.data.problems import warning
from mrlspk.data.text_tables import read_text_file
from mrlspk.data.utterance_ids import printable

# The two corpora have one layout; counts of CN-Celeb2 are not in the sources that were found.
CN_CELEB = CorpusFacts(
    name="cn-celeb",
    title="CN-Celeb1, CN-Celeb2",
    paper="Fan et al. 2020, arXiv:1911.01799; Li et al. 2022, arXiv:2012.12468",
    url="https://www.openslr.org/82",
    licence="free for research (the paper); see its page",
    counts={
        "cn-celeb1": PublishedCounts(997, 126_532),
        "cn-celeb1-dev": PublishedCounts(797, 107_953),
        "cn-celeb1-eval": PublishedCounts(200, 17_973),
    },
)
GENRES = (
    "advertisement", "drama", "entertainment", "interview", "live_broadcast", "movie", "play", "recitation", "singing",
    "speech", "vlog",
)  # fmt: skip
DEVELOPMENT = Path("dev/dev.lst")  # names the development speakers of CN-Celeb1, one a line
_NAME = rf"(?P<session>(?:{'|'.join(GENRES)})-\d+)-\d+\.\w+"
_TRAINING = re.compile(rf"(?:data/)?(?P<speaker>id\d{{5}})/{_NAME}")
_TEST = re.compile(rf"(?:test/)?(?P<speaker>id\d{{5}})-{_NAME}")
_ENROLMENT = re.compile(r"(?:enroll/)?(?P<speaker>id\d{5})-(?P<session>enroll)\.\w+")
_SPEAKER = re.compile(r"id\d{5}")


class CnCeleb(PathTree):
    """The corpus, its folder ``data`` or its folder ``eval``; genre and number of a video are a session.

    The folder ``data`` of CN-Celeb1 holds the evaluation speakers too. Of the corpus as a whole, its development
    speakers are read if it lists them.
    """

    facts = CN_CELEB
    name = CN_CELEB.name
    layout = "data/speaker/genre-session-number.flac, or eval/enroll and eval/test"

    def recognises(self, path: Path) -> bool:
        """Return whether the folder is the corpus, ``data`` or ``eval``, by the names of the first files."""
        names = {*names_in(path)}
        if "data" in names:
            return _holds_speakers(path / "data")
        if {"enroll", "test"} <= names:
            files = first_audio(path)
            return bool(files) and all(_TEST.fullmatch(each) or _ENROLMENT.fullmatch(each) for each in files)
        return _holds_speakers(path)

    def speaker_and_session(self, path: str) -> tuple[str, str] | None:
        """Return the speaker, and genre and number of the video, of a file."""
        found = next((match for regex in (_TRAINING, _TEST, _ENROLMENT) if (match := regex.fullmatch(path))), None)
        return (found["speaker"], f"{found['speaker']}/{found['session']}") if found else None

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the files of a part; of the whole corpus the development speakers, or all if they are not listed.

        Raises:
            DataError: If a folder or the list cannot be read, or if no file has this layout.
        """
        if not (path / "data").is_dir():
            listing = super().list_utterances(path)
            return _with_warning(listing, path) if (path.parent / DEVELOPMENT).is_file() else listing
        wanted = None
        if (path / DEVELOPMENT).is_file():
            wanted = {*read_text_file(path / DEVELOPMENT, "a speaker on each line").text.split()}

        def match(audio_id: str) -> tuple[str, str] | None:
            found = self.speaker_and_session(audio_id)  # None below eval/
            return found if found and (wanted is None or found[0] in wanted) else None

        return list_tree(path, match, self.layout)


def _holds_speakers(folder: Path) -> bool:
    files = first_audio(folder) if every_name(folder, _SPEAKER.fullmatch) else []
    return bool(files) and all(map(_TRAINING.fullmatch, files))


def _with_warning(listing: CorpusListing, path: Path) -> CorpusListing:
    """Return the listing of the folder ``data`` or ``eval`` of CN-Celeb1; of ``data`` with a warning."""
    if path.resolve().name != "data":
        return listing
    message = f"holds the evaluation speakers too: name {printable(path.parent)} for the development speakers alone"
    return replace(listing, problems=(*listing.problems, warning("level", printable(path), message)))
