"""Recognise the official lists of VoxCeleb1, which ``official_lists.yaml`` describes."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml

from mrlspk.data.trials.trials import Trials

# A file of VoxCeleb1 in any folder with any suffix; Kaldi's recipe puts hyphens between the parts.
VOXCELEB_ID = re.compile(r"(?:.*/)?(id\d{5})[/-]([\w-]{11})[/-](\d{5})(?:\.\w+)?")
NEAR = 0.005  # the original and the cleaned list of one kind differ by less than this share of their trials


@dataclass(frozen=True)
class OfficialList:
    """An official list: ``md5`` of its trials as `_md5` formats them, and the ``names`` of its file."""

    name: str
    names: tuple[str, ...]
    n_target: int
    n_nontarget: int
    md5: str


@dataclass(frozen=True)
class OfficialMatch:
    """The official list that trials match, by the hash of all trials or only by their counts."""

    name: str
    by: Literal["fingerprint", "counts"]


@cache
def official_lists() -> tuple[OfficialList, ...]:
    """Return the official lists."""
    text = files("mrlspk.data.trials").joinpath("official_lists.yaml").read_text(encoding="utf-8")
    return tuple(OfficialList(**{**entry, "names": tuple(entry["names"])}) for entry in yaml.safe_load(text))


def official_match(trials: Trials) -> OfficialMatch | None:
    """Return the official list that trials match; None if they match none.

    The fingerprint depends only on the trials and their order: not on line ends, the format of the list, the folder
    above the speakers, or the suffix of the audio. If it differs, but the trials are of VoxCeleb1 files and have the
    counts of an official list, the match is by counts; equal counts do not prove that the lists are equal.
    """
    by_counts = [each for each in official_lists() if _has_counts(trials, each)]
    known = _voxceleb_ids(trials) if by_counts else None
    if known is None:
        return None
    md5 = _md5(trials, known)
    matches = (OfficialMatch(each.name, "fingerprint" if each.md5 == md5 else "counts") for each in by_counts)
    return next(matches, None)


def official_warning(trials: Trials, match: OfficialMatch | None) -> str | None:
    """Return how a list differs from the official one that it could be mistaken for; None if there is no such risk.

    There is a risk if the file has the name of an official list, if the counts match but the trials differ, or if a
    list of VoxCeleb1 files has a few trials more or fewer than an official one.

    Args:
        trials: The list.
        match: The result of `official_match`.
    """
    named = _named(trials)
    if named is not None and (match is None or match.name != named.name):
        found = f"{len(trials):,}" + (f", those of {match.name}" if match and match.by == "fingerprint" else "")
        return f"{trials.path} is named like {_describe(named)} trials, but holds {found}"
    if match is not None and match.by == "counts":
        return f"{trials.path} has the counts of {match.name} and other trials, or the same in another order"
    if match is None and (near := _nearest(trials)) is not None and _voxceleb_ids(trials) is not None:
        return f"{trials.path} holds {len(trials):,} trials of VoxCeleb1 and is not {_describe(near)}"
    return None


def _describe(official: OfficialList) -> str:
    return f"{official.name}, which has {official.n_target + official.n_nontarget:,}"


def _has_counts(trials: Trials, official: OfficialList) -> bool:
    return (trials.n_target, trials.n_nontarget) == (official.n_target, official.n_nontarget)


def _named(trials: Trials) -> OfficialList | None:
    stem = Path(trials.path).stem.lower()
    return next((each for each in official_lists() if stem in each.names), None)


def _nearest(trials: Trials) -> OfficialList | None:
    """Return the official list with nearly the same counts, if there is one."""

    def distance(official: OfficialList) -> int:
        return abs(trials.n_target - official.n_target) + abs(trials.n_nontarget - official.n_nontarget)

    nearest = min(official_lists(), key=distance)
    return nearest if 0 < distance(nearest) <= NEAR * len(trials) else None


def _voxceleb_ids(trials: Trials) -> dict[str, str] | None:
    """Return the id of each utterance as in VoxCeleb1's lists; None if one of them is not of VoxCeleb1."""
    ids: dict[str, str] = {}
    for utterance_id in {*trials.enroll_ids, *trials.test_ids}:
        if (parts := VOXCELEB_ID.fullmatch(utterance_id)) is None:
            return None
        ids[utterance_id] = f"{parts[1]}/{parts[2]}/{parts[3]}.wav"
    return ids


def _md5(trials: Trials, ids: dict[str, str]) -> str:
    rows = zip(trials.is_target.tolist(), trials.enroll_ids, trials.test_ids, strict=True)
    lines = [f"{'1' if target else '0'} {ids[enroll_id]} {ids[test_id]}\n" for target, enroll_id, test_id in rows]
    return hashlib.md5("".join(lines).encode(), usedforsecurity=False).hexdigest()
