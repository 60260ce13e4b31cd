"""VoxCeleb1 and VoxCeleb2: trees of ``speaker/video/utterance``, VoxCeleb1 as wav and VoxCeleb2 as m4a."""

import re
from pathlib import Path

from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.first_files import every_name, first_audio
from mrlspk.data.corpora.folder_tree import FolderTree

URL = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/"
LICENCE = "CC BY 4.0 (metadata); the copyright of the recordings stays with their owners"
FIRST_OF_VOXCELEB1 = "id10001"  # VoxCeleb2's speakers have lower numbers
_SPEAKER = re.compile(r"id\d{5}")
_FILE = re.compile(r"id\d{5}/[\w-]{11}/\d{5}(?:\.\w+)?")  # a video has the id that YouTube gave it

VOXCELEB1 = CorpusFacts(
    name="voxceleb1",
    title="VoxCeleb1",
    paper="Nagrani, Chung, Zisserman 2017, arXiv:1706.08612",
    url=URL,
    licence=LICENCE,
    counts={"vox1-dev": PublishedCounts(1_211, 148_642), "vox1-test": PublishedCounts(40, 4_874)},
)
VOXCELEB2 = CorpusFacts(
    name="voxceleb2",
    title="VoxCeleb2",
    paper="Chung, Nagrani, Zisserman 2018, arXiv:1806.05622",
    url=URL,
    licence=LICENCE,
    layout_of="voxceleb1",
    counts={"vox2-dev": PublishedCounts(5_994, 1_092_009), "vox2-test": PublishedCounts(118, 36_237)},
)


class VoxCeleb(FolderTree):
    """The tree of folders of one of the two corpora: the folder ``wav`` or ``aac`` of a part."""

    def __init__(self, facts: CorpusFacts) -> None:
        self.facts = facts
        self.name = facts.name

    def fits(self, utterance_id: str) -> bool:
        """Return whether an utterance is named as in this corpus, with or without a suffix."""
        return _FILE.fullmatch(utterance_id) is not None

    def recognises(self, path: Path) -> bool:
        """Return whether all speakers and the first videos and files are named as in this corpus."""
        files = first_audio(path) if every_name(path, self._is_speaker) else []
        return bool(files) and all(map(_FILE.fullmatch, files))

    def _is_speaker(self, name: str) -> bool:
        is_of_first = name >= FIRST_OF_VOXCELEB1
        return _SPEAKER.fullmatch(name) is not None and is_of_first == (self.facts is VOXCELEB1)
