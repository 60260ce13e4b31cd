"""Sort recordings by what their paths say, as MUSAN and RIRS_NOISES name their folders, and choose one by shares."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

MUSAN = ("noise", "music", "speech")
ISOTROPIC_NOISE = re.compile(r"_type\d+_noise_")  # RVB2014_type1_noise_largeroom1_1.wav


def musan_category(name: str) -> str:
    """Return the kind of a noise recording: the innermost of MUSAN's folders on its path, else noise."""
    folders = PurePosixPath(name).parts[:-1]
    return next((folder for folder in reversed(folders) if folder in MUSAN), "noise")


def room_category(name: str) -> str | None:
    """Return ``simulated`` or ``real``; None for the noises among the responses of RIRS_NOISES.

    That corpus keeps 92 isotropic noises beside its 325 recorded responses; only their names differ.
    """
    path = PurePosixPath(name)
    if "pointsource_noises" in path.parts or ISOTROPIC_NOISE.search(path.name):
        return None
    return "simulated" if "simulated_rirs" in path.parts else "real"


@dataclass(frozen=True)
class Choice:
    """Draws a category by its share, then one of its recordings evenly.

    Attributes:
        categories: That have recordings and a share.
        shares: Of each, adding up to 1.
        members: Indices of the recordings of each.
    """

    categories: tuple[str, ...]
    shares: tuple[float, ...]
    members: tuple[NDArray[np.int32], ...]

    def draw(self, rng: np.random.Generator) -> tuple[str, int]:
        """Return a category and the index of one of its recordings."""
        place = int(np.searchsorted(np.cumsum(self.shares[:-1]), rng.random(), side="right"))
        members = self.members[place]
        return self.categories[place], int(members[rng.integers(len(members))])

    def more_of(self, category: str, count: int, rng: np.random.Generator) -> list[int]:
        """Return the indices of ``count`` recordings of a category; none twice before all are there."""
        members = rng.permutation(self.members[self.categories.index(category)])
        return [int(each) for each in np.resize(members, count)]


def choose_by_shares(
    names: Iterable[str], category_of: Callable[[str], str | None], shares: Mapping[str, float] | None
) -> Choice | None:
    """Return the choice among recordings; None if there is nothing to choose from.

    Args:
        names: Of all recordings.
        category_of: Returns the category of a name; None for a recording that is not used.
        shares: Weight of each category, of those that have recordings; None: every recording has the same chance.
    """
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if (category := category_of(name)) is not None:
            found.setdefault(category, []).append(index)
    weights = {each: float(len(found[each])) if shares is None else shares.get(each, 0.0) for each in sorted(found)}
    weights = {category: weight for category, weight in weights.items() if weight > 0}
    if not weights:
        return None
    total = sum(weights.values())
    members = tuple(np.array(found[category], np.int32) for category in weights)
    return Choice(tuple(weights), tuple(weight / total for weight in weights.values()), members)
