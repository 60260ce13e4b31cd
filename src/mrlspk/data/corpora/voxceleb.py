"""VoxCeleb (Nagrani et al. 2017, arXiv:1706.08612; Chung et al. 2018, arXiv:1806.05622): what its parts hold."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedCounts:
    """How many speakers and utterances a part of a corpus has when it is whole."""

    speakers: int
    utterances: int


PUBLISHED_COUNTS = {
    "vox2-dev": PublishedCounts(5_994, 1_092_009),
    "vox1-dev": PublishedCounts(1_211, 148_642),
    "vox1-test": PublishedCounts(40, 4_874),
}
