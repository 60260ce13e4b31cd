"""Trial lists: reading, writing and drawing them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.manifest import Manifest, session_of, speaker_of
from mrlspk.data.names import check_name
from mrlspk.errors import DataError
from mrlspk.files import whole_file

LINE = "<0|1> <enroll> <test>"
ENUMERATED = 4  # a pool up to this many times the draw is listed in full, a larger one is drawn from by trial and error

type Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials in the order of their list.

    Args:
        enroll_ids: Enrolment utterance of each trial.
        test_ids: Test utterance of each trial.
        is_target: (trials,) True where both are of one speaker.
        path: The list's file, or how the trials were made.
        sha256: Of the file's bytes, in hex; for generated trials, of the file that `write_trials` would make.
    """

    enroll_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    is_target: NDArray[np.bool_]
    path: str
    sha256: str

    def __len__(self) -> int:
        return len(self.enroll_ids)

    @property
    def n_target(self) -> int:
        """Number of target trials."""
        return int(self.is_target.sum())

    @property
    def n_nontarget(self) -> int:
        """Number of non-target trials."""
        return len(self) - self.n_target

    @cached_property
    def utterance_ids(self) -> tuple[str, ...]:
        """Every utterance that a trial names, once, sorted."""
        return tuple(sorted({*self.enroll_ids, *self.test_ids}))

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speakers of these utterances (the first part of each id), sorted."""
        return tuple(sorted({speaker_of(utterance_id) for utterance_id in self.utterance_ids}))


def read_trials(path: Path) -> Trials:
    """Return the trials of a file in VoxCeleb's format, one ``<0|1> <enroll> <test>`` a line; blank lines are allowed.

    Raises:
        DataError: If the file cannot be read, holds no trial, or has a line of another form.
    """
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines()  # Windows writes a mark of byte order at the head
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path, "Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"expected text, '{LINE}' a line, got binary data", path) from error
    rows = [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DataError(f"expected '{LINE}' a line, got an empty file", path, "Name a list with trials in it.")
    labels, enroll_ids, test_ids = zip(*rows, strict=True)
    is_target = np.array(labels) == "1"
    return Trials(enroll_ids, test_ids, is_target, str(path), hashlib.sha256(content).hexdigest())


def _parse(line: str, where: str) -> tuple[str, str, str]:
    fields = line.split()
    if len(fields) != 3 or fields[0] not in {"0", "1"}:
        fix = "Write 1 for one speaker or 0 for two, then two paths relative to the audio folder, without spaces."
        raise DataError(f"expected '{LINE}', got {line.strip()!r}", where, fix)
    return fields[0], fields[1], fields[2]


def format_trials(enroll_ids: Sequence[str], test_ids: Sequence[str], is_target: NDArray[np.bool_]) -> str:
    """Return the text of a trial list.

    Raises:
        DataError: If an utterance has a name that no list can hold.
    """
    for utterance_id in {*enroll_ids, *test_ids}:
        check_name(utterance_id)
    rows = zip(is_target, enroll_ids, test_ids, strict=True)
    return "".join(f"{int(target)} {enroll_id} {test_id}\n" for target, enroll_id, test_id in rows)


def write_trials(trials: Trials, path: Path) -> None:
    """Write so that ``path`` holds the old file or the whole new one, never a part."""
    with whole_file(path) as partial:
        partial.write_text(format_trials(trials.enroll_ids, trials.test_ids, trials.is_target), newline="\n")


def generate_trials(manifest: Manifest, n_trials: int, *, seed: int, path: str) -> Trials:
    """Draw trials, half of them target, without a repeat; fewer where the corpus does not have that many.

    Speakers take turns in target trials, whose sides come from different sessions where the speaker has several.
    The draw depends on the utterance ids and the seed alone.

    Args:
        manifest: The corpus.
        n_trials: How many, both kinds together.
        seed: Of the draw.
        path: What `Trials.path` says, e.g. ``generated from DIR``.

    Raises:
        DataError: If there are fewer than two speakers, or no speaker with two utterances.
    """
    groups = {speaker: [u.utterance_id for u in group] for speaker, group in manifest.by_speaker().items()}
    if len(groups) < 2 or all(len(group) < 2 for group in groups.values()):
        found = f"{len(groups)} speakers with {len(manifest.utterances)} utterances"
        fix = "Name a folder with more speakers, or more recordings of them."
        raise DataError(f"trials need two speakers, one of them with two utterances, got {found}", manifest.root, fix)
    rng = np.random.default_rng(seed)
    target = _draw_targets(list(groups.values()), n_trials // 2 or 1, rng)
    nontarget = _draw_nontargets(list(groups.values()), n_trials - n_trials // 2, rng)
    enroll_ids, test_ids = zip(*target, *nontarget, strict=True)
    is_target = np.arange(len(enroll_ids)) < len(target)
    text = format_trials(enroll_ids, test_ids, is_target)
    return Trials(enroll_ids, test_ids, is_target, path, hashlib.sha256(text.encode()).hexdigest())


def _draw_targets(groups: list[list[str]], wanted: int, rng: np.random.Generator) -> list[Pair]:
    """Draw pairs within groups; the groups take turns until each has given all of its pairs."""
    drawn: set[Pair] = set()
    left = {index: _count_target_pairs(group) for index, group in enumerate(groups) if len(group) > 1}
    while left and len(drawn) < wanted:
        for index in rng.permutation(list(left))[: wanted - len(drawn)]:
            while (pair := _draw_target(groups[index], rng)) in drawn:
                continue
            drawn.add(pair)
            left[index] -= 1
        left = {index: n_pairs for index, n_pairs in left.items() if n_pairs}
    return sorted(drawn)


def _count_target_pairs(group: list[str]) -> int:
    sizes = np.unique([session_of(utterance_id) for utterance_id in group], return_counts=True)[1]
    if len(sizes) == 1:
        sizes = np.ones(len(group), dtype=int)
    return int((len(group) ** 2 - (sizes**2).sum()) // 2)


def _draw_target(group: list[str], rng: np.random.Generator) -> Pair:
    """Draw two utterances of one speaker, of different sessions if there are several."""
    first = group[rng.integers(len(group))]
    others = [other for other in group if session_of(other) != session_of(first)]
    others = others or [other for other in group if other != first]
    return _pair(first, others[rng.integers(len(others))])


def _draw_nontargets(groups: list[list[str]], wanted: int, rng: np.random.Generator) -> list[Pair]:
    """Draw pairs across groups; all of them where there are no more."""
    total = sum(map(len, groups))
    available = (total**2 - sum(len(group) ** 2 for group in groups)) // 2
    if available <= ENUMERATED * wanted:
        ids = [utterance_id for group in groups for utterance_id in group]
        pairs = [_pair(a, b) for a, b in combinations(ids, 2) if speaker_of(a) != speaker_of(b)]
        return sorted(pairs[index] for index in rng.choice(available, min(wanted, available), replace=False))
    drawn: set[Pair] = set()
    while len(drawn) < wanted:
        first, second = (groups[index] for index in rng.choice(len(groups), 2, replace=False))
        drawn.add(_pair(first[rng.integers(len(first))], second[rng.integers(len(second))]))
    return sorted(drawn)


def _pair(first: str, second: str) -> Pair:
    return (first, second) if first < second else (second, first)
