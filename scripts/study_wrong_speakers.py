"""Plant wrong speakers into real speech; measure how many are found, and how much of what is reported is right.

    scripts/study_wrong_speakers.py --shared ../shared --work DIR

Of the speakers of speech/train, speech/test and speech/more, some get an utterance of another speaker, some get several
of one other speaker, and some are split in two names. Speech is embedded once and kept in DIR. docs/data.md holds the
tables. The corpora as they are hold speakers who are perhaps one person, and two voices under one name: what ResNet34
and CAM++ both report without plants, and what the READMEs of the corpora say, counts neither as right nor as wrong. All
else that was not planted is wrong; the second precision leaves out what the same model reports without plants.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, groupby
from pathlib import Path

import numpy as np

from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Utterance
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.workflows.find_wrong_speakers import VoiceCheck, find_wrong_speakers

MODELS = {
    "ResNet34": "wespeaker-resnet34.onnx",
    "CAM++": "campplus-zh-en.onnx",
    "small": "redimnet-small-speech.pt",
}
CORPORA = ("train", "test", "more/so762-en-adult", "more/speechcmd-en", "more/alnum-en")
STRONG = ("ResNet34", "CAM++")
# Speakers whom the READMEs of the corpora call perhaps the same, or close voices.
NAMED = (("al33", "al34", "al38", "al39", "al42"), ("al30", "al31", "al40"), ("so1037", "so1039", "so1099"))
ONE_A_SESSION = "ar"  # speakers of many sessions: one recording of each
SIZES = {"3 to 4": (3, 4), "5 to 6": (5, 6), "7 or more": (7, 10**9)}  # utterances of a speaker, the moved one included

type Check = Callable[[Sequence[Utterance], int], VoiceCheck]
type Pair = tuple[str, ...]


@dataclass
class Plants:
    """Utterances with wrong speakers.

    Attributes:
        utterances: All, some with another speaker id.
        moved: Ids of single utterances under a wrong speaker.
        moved_groups: Ids of several utterances of one speaker under a wrong one.
        split: Both names of each split speaker.
        sizes: Utterances under the name that each moved one is under.
    """

    utterances: list[Utterance]
    moved: set[str] = field(default_factory=set)
    moved_groups: set[str] = field(default_factory=set)
    split: set[tuple[str, str]] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Doubts:
    """What may be wrong in the corpora as they are: utterances, and pairs of speakers."""

    utterances: frozenset[str]
    pairs: frozenset[Pair]

    @classmethod
    def of(cls, found: Sequence[VoiceCheck]) -> "Doubts":
        """Return what all have in common, and what the READMEs say."""
        utterances = [{each.where for each in one.problems if each.kind == "two_voices"} for one in found]
        pairs = [{pair for group in _groups(one) for pair in combinations(sorted(group), 2)} for one in found]
        named = {pair for group in NAMED for pair in combinations(group, 2)}
        return cls(frozenset(set.intersection(*utterances)), frozenset(set.intersection(*pairs) | named))

    def __str__(self) -> str:
        """Return a list, the speakers in pairs; with those whom the READMEs name."""
        return "\n".join(
            [f"- {each}" for each in sorted(self.utterances)] + [f"- {a}, {b}" for a, b in sorted(self.pairs)]
        )

    def n_persons(self, speakers: Iterable[str]) -> int:
        """Return the number of persons, those of a pair taken for one."""
        parts: list[set[str]] = []
        for each in speakers:
            linked = [part for part in parts if any(tuple(sorted((each, other))) in self.pairs for other in part)]
            parts = [part for part in parts if part not in linked] + [{each}.union(*linked)]
        return len(parts)


@dataclass
class Counts:
    """Planted, found and wrongly reported, summed over draws."""

    planted: int = 0
    found: int = 0
    wrong: int = 0
    new_wrong: int = 0

    def recall(self) -> str:
        """Return what was found of what was planted."""
        return f"{100 * self.found / self.planted:.1f} ({self.found} of {self.planted})" if self.planted else "–"

    def precision(self) -> str:
        """Return what is right of what is reported, and of what is not reported without plants."""
        shares = (100 * self.found / max(self.found + wrong, 1) for wrong in (self.wrong, self.new_wrong))
        return " | ".join(
            f"{share:.1f} ({n} wrong)" for share, n in zip(shares, (self.wrong, self.new_wrong), strict=True)
        )


def main() -> None:
    """Print the tables of each model."""
    given = _arguments()
    utterances = list(_utterances(given.shared / "speech"))
    speakers = len({each.speaker_id for each in utterances})
    print(f"{len(utterances)} utterances of {speakers} speakers; {given.draws} draws of {given.plants} plants a kind")
    checks = {name: _checker(given, name) for name in {*given.models, *STRONG}}
    untouched = {name: check(utterances, given.seed) for name, check in checks.items()}
    doubts = Doubts.of([untouched[name] for name in STRONG])
    print(f"\nBoth {' and '.join(STRONG)} report without plants:\n\n{doubts}")
    for name in given.models:
        _study(name, checks[name], utterances, untouched[name], doubts, given)


def _checker(given: argparse.Namespace, name: str) -> Check:
    backend = load_backend(ModelFile(given.shared / "pretrained" / MODELS[name], MODELS[name])).backend
    return lambda some, seed: find_wrong_speakers(backend, UtteranceTable.of(some), cache_dir=given.work, seed=seed)


def _study(
    name: str,
    check: Check,
    utterances: list[Utterance],
    untouched: VoiceCheck,
    doubts: "Doubts",
    given: argparse.Namespace,
) -> None:
    print(f"\n## {name}\n\nWithout plants ({_thresholds(untouched)}):\n")
    for problem in untouched.problems:
        print(f"- {problem.kind} {problem.where}: {problem.message}")
    rows = {"two voices": Counts(), "one moved": Counts(), "two moved together": Counts(), "one voice": Counts()}
    by_size = {size: Counts() for size in SIZES}
    thresholds, known = [], Doubts.of([untouched])
    for seed in range(given.seed, given.seed + given.draws):
        plants = plant(utterances, given.plants, seed=seed)
        found = check(plants.utterances, seed)
        thresholds.append(_thresholds(found))
        _count_moved(plants, found, doubts, known, rows, by_size)
        _count_split(plants, found, doubts, known, rows["one voice"])
    print(f"\nThresholds of the draws: {'; '.join(thresholds)}\n")
    print("| plant | recall % | precision % | of new reports % |\n|---|---|---|---|")
    for title, counts in (rows | {f"one moved, to a name with {size}": each for size, each in by_size.items()}).items():
        print(
            f"| {title} | {counts.recall()} | {counts.precision() if title in {'two voices', 'one voice'} else ' | '} |"
        )


def plant(utterances: Sequence[Utterance], n_plants: int, *, seed: int) -> Plants:
    """Return the utterances with ``n_plants`` single and joint moves and splits; a speaker has one plant at most."""
    rng = np.random.default_rng(seed)
    by_speaker = {name: list(group) for name, group in groupby(utterances, key=lambda each: each.speaker_id)}
    order = rng.permutation([name for name, group in by_speaker.items() if len(group) > 1]).tolist()
    split, receive, give = order[:n_plants], order[n_plants : 3 * n_plants], order[3 * n_plants :]
    speaker_of: dict[str, str] = {}
    plants = Plants([])
    for name in split:
        drawn = rng.permutation([each.utterance_id for each in by_speaker[name]]).tolist()
        speaker_of |= dict.fromkeys(drawn[: len(drawn) // 2], f"{name}-b")
        plants.split.add((name, f"{name}-b"))
    givers = [name for name in give if len(by_speaker[name]) > 2]
    receivers = [name for name in receive if len(by_speaker[name]) > 1]
    for number, (name, giver) in enumerate(zip(receivers, givers, strict=False)):
        together = number % 2 == 1 and len(by_speaker[name]) > 3
        drawn = rng.permutation([each.utterance_id for each in by_speaker[giver]])[: 2 if together else 1].tolist()
        speaker_of |= dict.fromkeys(drawn, name)
        (plants.moved_groups if together else plants.moved).update(drawn)
        plants.sizes |= dict.fromkeys(drawn, len(by_speaker[name]) + len(drawn))
    plants.utterances = [
        replace(each, speaker_id=speaker_of.get(each.utterance_id, each.speaker_id)) for each in utterances
    ]
    return plants


def _count_moved(
    plants: Plants,
    found: VoiceCheck,
    doubts: Doubts,
    known: Doubts,
    rows: dict[str, Counts],
    by_size: dict[str, Counts],
) -> None:
    reported = {problem.where for problem in found.problems if problem.kind == "two_voices"}
    all_moved = plants.moved | plants.moved_groups
    rows["two voices"].wrong += len(reported - all_moved - doubts.utterances)
    rows["two voices"].new_wrong += len(reported - all_moved - doubts.utterances - known.utterances)
    kinds = {"two voices": all_moved, "one moved": plants.moved, "two moved together": plants.moved_groups}
    for title, moved in kinds.items():
        rows[title].planted += len(moved)
        rows[title].found += len(moved & reported)
    for each in plants.moved:
        size = next(title for title, (low, high) in SIZES.items() if low <= plants.sizes[each] <= high)
        by_size[size].planted += 1
        by_size[size].found += each in reported


def _count_split(plants: Plants, found: VoiceCheck, doubts: Doubts, known: Doubts, counts: Counts) -> None:
    """Count split speakers that are in one group, and for each group the further persons who are in it."""
    counts.planted += len(plants.split)
    for group in _groups(found):
        counts.found += sum(set(pair) <= set(group) for pair in plants.split)
        persons = {name.removesuffix("-b") for name in group}
        counts.wrong += doubts.n_persons(persons) - 1
        counts.new_wrong += Doubts(frozenset(), doubts.pairs | known.pairs).n_persons(persons) - 1


def _groups(found: VoiceCheck) -> Iterator[tuple[str, ...]]:
    for problem in found.problems:
        if problem.kind == "one_voice":
            others = problem.message.removeprefix("expected another voice than ").partition(", got the same")[0]
            yield (problem.where, *others.split(", "))


def _thresholds(found: VoiceCheck) -> str:
    two, one = (found.entry()[name] for name in ("two_voices", "one_voice"))
    return f"two voices below {two['threshold']:.2f}, one voice {100 * one['share']:.1f} %"


def _utterances(speech: Path) -> Iterator[Utterance]:
    """Yield the utterances of all corpora, by speaker; of speakers of many sessions the first of each session."""
    for corpus in CORPORA:
        last = None
        for each in scan_corpus(speech / corpus).utterances:
            if each.speaker_id.startswith(ONE_A_SESSION) and each.session_id == last:
                continue
            last = each.session_id
            yield replace(each, utterance_id=f"{corpus}/{each.utterance_id}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with speech/ and pretrained/")
    parser.add_argument("--work", type=Path, required=True, help="folder for the cached embeddings")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--plants", type=int, default=20, help="speakers that are split, and half of those with a move")
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    return parser.parse_args()


if __name__ == "__main__":
    main()
