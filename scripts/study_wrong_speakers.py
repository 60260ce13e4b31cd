"""Plant wrong speakers into real speech, and measure how many are found and how much of what is found is right.

    scripts/study_wrong_speakers.py --shared ../shared --work DIR

Of the speakers of speech/train, speech/test and speech/more, some get an utterance of another speaker, some get several
of one other speaker, and some are split in two names. Speech is embedded once and kept in DIR. docs/data.md holds the
tables. The corpora hold speakers who are perhaps one person: what is reported without plants is listed first, and is
counted neither as right nor as wrong afterwards.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, groupby
from pathlib import Path

import numpy as np

from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Utterance
from mrlspk.inference.backend import Backend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.workflows.find_wrong_speakers import VoiceCheck, find_wrong_speakers

MODELS = {
    "ResNet34": "wespeaker-resnet34.onnx",
    "CAM++": "campplus-zh-en.onnx",
    "small": "redimnet-small-speech.pt",
}
CORPORA = ("train", "test", "more/so762-en-adult", "more/speechcmd-en", "more/alnum-en")
ONE_A_SESSION = "ar"  # speakers of many sessions: one recording of each
SIZES = {"3 to 4": (3, 4), "5 to 6": (5, 6), "7 or more": (7, 10**9)}  # utterances of a speaker, the moved one included


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


@dataclass
class Counts:
    """Planted, found and wrongly reported, summed over draws."""

    planted: int = 0
    found: int = 0
    wrong: int = 0

    def row(self) -> list[str]:
        """Return recall and precision as cells."""
        recall = f"{100 * self.found / self.planted:.1f}" if self.planted else "–"
        reported = self.found + self.wrong
        return [f"{recall} ({self.found} of {self.planted})", f"{100 * self.found / reported:.1f}" if reported else "–"]


def main() -> None:
    """Print the tables of each model."""
    given = _arguments()
    utterances = list(_utterances(given.shared / "speech"))
    speakers = len({each.speaker_id for each in utterances})
    print(f"{len(utterances)} utterances of {speakers} speakers; {given.draws} draws of {given.plants} plants a kind")
    for name in given.models:
        file = ModelFile(given.shared / "pretrained" / MODELS[name], MODELS[name])
        _study(name, load_backend(file).backend, utterances, given)


def _study(name: str, backend: Backend, utterances: list[Utterance], given: argparse.Namespace) -> None:
    def check(some: Sequence[Utterance], seed: int) -> VoiceCheck:
        return find_wrong_speakers(backend, some, cache_dir=given.work, seed=seed)

    untouched = check(utterances, given.seed)
    print(f"\n## {name}\n\nWithout plants ({_thresholds(untouched)}):\n")
    for problem in untouched.problems:
        print(f"- {problem.kind} {problem.where}: {problem.message}")
    doubted = {problem.where for problem in untouched.problems if problem.kind == "two_voices"}
    alike = {pair for group in _groups(untouched) for pair in combinations(group, 2)} | set(_doubtful_pairs())
    rows = {"moved": Counts(), "moved together": Counts(), "split": Counts()}
    by_size = {size: Counts() for size in SIZES}
    thresholds = []
    for seed in range(given.seed, given.seed + given.draws):
        plants = plant(utterances, given.plants, seed=seed)
        found = check(plants.utterances, seed)
        thresholds.append(_thresholds(found))
        _count_moved(plants, found, doubted, rows, by_size)
        _count_split(plants, found, alike, rows["split"])
    print(f"\nThresholds of the draws: {'; '.join(thresholds)}\n")
    print("| plant | recall % | precision % |\n|---|---|---|")
    for title, counts in rows.items():
        print(f"| {title} | {' | '.join(counts.row())} |")
    for size, counts in by_size.items():
        print(f"| moved, under a name with {size} | {counts.row()[0]} | |")


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
    plants: Plants, found: VoiceCheck, doubted: set[str], rows: dict[str, Counts], by_size: dict[str, Counts]
) -> None:
    reported = {problem.where for problem in found.problems if problem.kind == "two_voices"}
    wrong = reported - plants.moved - plants.moved_groups - doubted
    for title, moved in (("moved", plants.moved), ("moved together", plants.moved_groups)):
        rows[title].planted += len(moved)
        rows[title].found += len(moved & reported)
        rows[title].wrong += len(wrong)
    for each in plants.moved:
        size = next(title for title, (low, high) in SIZES.items() if low <= plants.sizes[each] <= high)
        by_size[size].planted += 1
        by_size[size].found += each in reported


def _count_split(plants: Plants, found: VoiceCheck, alike: set[tuple[str, str]], counts: Counts) -> None:
    """Count split speakers that are in one group, and for each group the further persons who are in it."""
    counts.planted += len(plants.split)
    for group in _groups(found):
        counts.found += sum(set(pair) <= set(group) for pair in plants.split)
        persons = sorted({name.removesuffix("-b") for name in group})
        joined = {tuple(sorted(pair)) for pair in alike}
        counts.wrong += _n_apart(persons, joined) - 1


def _n_apart(persons: Sequence[str], joined: set[tuple[str, str]]) -> int:
    """Return the number of persons, those whom the corpora doubt taken for one."""
    parts: list[set[str]] = []
    for person in persons:
        linked = [part for part in parts if any(tuple(sorted((person, other))) in joined for other in part)]
        parts = [part for part in parts if part not in linked] + [{person}.union(*linked)]
    return len(parts)


def _groups(found: VoiceCheck) -> Iterator[tuple[str, ...]]:
    for problem in found.problems:
        if problem.kind == "one_voice":
            others = problem.message.removeprefix("expected another voice than ").partition(", got the same")[0]
            yield (problem.where, *others.split(", "))


def _doubtful_pairs() -> Iterator[tuple[str, str]]:
    """Yield the speakers whom the READMEs of the corpora call perhaps the same, or close voices."""
    for group in (("al33", "al34", "al38", "al39", "al42"), ("al30", "al31", "al40"), ("so1037", "so1039", "so1099")):
        yield from combinations(group, 2)


def _thresholds(found: VoiceCheck) -> str:
    entry = found.entry()
    return ", ".join(f"{name} {entry[name]['threshold']:.2f}" for name in ("two_voices", "one_voice") if name in entry)


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
