"""A corpus checked: layout, counts, audio, trials and overlap; every problem is reported, not the first."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrlspk.data.corpora.voxceleb import PUBLISHED_COUNTS
from mrlspk.data.inspection import inspect_files
from mrlspk.data.manifest import DEPTHS, LAYOUT, list_audio, scan_corpus, speaker_of
from mrlspk.data.names import is_utf8, name_fault, printable
from mrlspk.data.problems import Decode, Problem, error, warning
from mrlspk.data.trials import AudioFolder, BadLinesError, Trials, official_match, official_warning, read_trials
from mrlspk.errors import DataError, UsageError
from mrlspk.files import OnProgress

N_SAMPLED = 50  # files decoded by ``Decode.SAMPLE``
SAMPLE_SEED = 0


@dataclass(frozen=True)
class CorpusReport:
    """What a corpus holds and what is wrong with it.

    Args:
        path: The corpus.
        speakers: Number of speakers.
        utterances: Number of audio files at a depth that tells their speaker.
        seconds: Of readable audio, as the headers say; None where no header was read.
        decoded: Number of files that were decoded.
        problems: Errors first.
    """

    path: Path
    speakers: int
    utterances: int
    seconds: float | None
    decoded: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return all(problem.severity != "error" for problem in self.problems)


def check_data(
    path: Path,
    *,
    trials: Sequence[Path] = (),
    against: Path | None = None,
    expect: str | None = None,
    decode: Decode = Decode.SAMPLE,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> CorpusReport:
    """Check a corpus.

    Args:
        path: Folder whose subfolders are the speakers.
        trials: Lists whose audio must be there.
        against: Another corpus, which must have other speakers.
        expect: Name of a corpus whose published counts must be met.
        decode: How much is decoded; with ``Decode.NONE`` no file is opened at all.
        jobs: Threads; None for as many as the machine has processors, up to eight.
        on_progress: Called with (files done, files).

    Raises:
        DataError: If ``path`` or ``against`` is absent or holds no audio.
        UsageError: If no corpus of the name ``expect`` is known.
    """
    if expect is not None and expect not in PUBLISHED_COUNTS:
        raise UsageError(f"expected one of {', '.join(PUBLISHED_COUNTS)}, got {expect!r}", "--expect")
    found, ids = _list_utterances(path)
    problems = [*_check_names(ids), *_check_layout(found), *_check_speakers(ids), *_check_duplicates(ids)]
    for trial_path in trials:
        problems += _check_trials(trial_path, path, frozenset(found))
    if against is not None:
        problems += _check_overlap(ids, against)
    if expect is not None:
        problems += _check_counts(ids, expect)
    readable_ids = [id_ for id_ in ids if is_utf8(id_)]
    decoded_ids = _choose_decoded(readable_ids, decode)
    seconds = None
    if decode is not Decode.NONE:
        inspection = inspect_files(path, readable_ids, decoded_ids=decoded_ids, jobs=jobs, on_progress=on_progress)
        seconds = inspection.seconds
        problems += inspection.problems
    problems.sort(key=lambda problem: problem.severity)
    problems = [replace(each, where=printable(each.where), message=printable(each.message)) for each in problems]
    n_speakers = len(set(map(speaker_of, ids)))
    return CorpusReport(path, n_speakers, len(ids), seconds, len(decoded_ids), tuple(problems))


def _list_utterances(path: Path) -> tuple[list[str], list[str]]:
    """Return all audio and, of it, the utterances: what lies at a depth that tells the speaker."""
    found = list_audio(path)
    ids = [id_ for id_ in found if id_.count("/") + 1 in DEPTHS]
    if not ids:
        scan_corpus(path)  # says what it expected instead
    return found, ids


def _choose_decoded(ids: Sequence[str], decode: Decode) -> Collection[str]:
    if decode is Decode.NONE:
        return frozenset()
    if decode is Decode.ALL or len(ids) <= N_SAMPLED:
        return frozenset(ids)
    chosen = np.random.default_rng(SAMPLE_SEED).choice(len(ids), N_SAMPLED, replace=False)
    return frozenset(ids[index] for index in chosen)


def _check_names(ids: Sequence[str]) -> Iterator[Problem]:
    for id_ in ids:
        if fault := name_fault(id_):
            yield error("name", id_, f"{fault}: rename the file or folder")


def _check_layout(found: Sequence[str]) -> Iterator[Problem]:
    """Count audio at the wrong depth, by top folder and depth."""
    misplaced: dict[tuple[str, int], list[str]] = {}
    for id_ in found:
        if (depth := id_.count("/") + 1) not in DEPTHS:
            misplaced.setdefault((speaker_of(id_), depth), []).append(id_)
    for (folder, _), ids in misplaced.items():
        yield warning("layout", folder, f"expected {LAYOUT}, got {len(ids)} files such as {ids[0]}: left out")


def _check_speakers(ids: Sequence[str]) -> Iterator[Problem]:
    for speaker, count in Counter(map(speaker_of, ids)).items():
        if count == 1:
            yield warning("one_file_speaker", speaker, "expected two utterances or more, got one")


def _check_duplicates(ids: Sequence[str]) -> Iterator[Problem]:
    """Find utterances that are there in two formats."""
    first: dict[str, str] = {}
    for id_ in ids:
        other = first.setdefault(id_.rpartition(".")[0], id_)
        if other != id_:
            yield warning("duplicate", id_, f"expected one file of an utterance, got {other} too")


def _check_trials(path: Path, corpus: Path, found: Collection[str]) -> Iterator[Problem]:
    """Check that a list can be read and its audio is there, and that its labels agree with its speakers."""
    try:
        trials = read_trials(path)
    except BadLinesError as fault:
        for line in fault.lines:
            yield error("trials", line.where, line.what)
        return
    except DataError as fault:
        yield error("trials", str(fault.where), fault.what)
        return
    yield from _check_trial_audio(trials, corpus, found)
    if not (trials.n_target and trials.n_nontarget):
        counts = f"{trials.n_target} target, {trials.n_nontarget} non-target"
        yield warning("trials", str(path), f"expected both kinds of trial, got {counts}")
    if trials.n_repeated:
        yield warning("repeated_trial", str(path), f"expected each trial once, got {trials.n_repeated} again")
    if difference := official_warning(trials, official_match(trials)):
        yield warning("official_list", str(path), difference)
    yield from _check_labels(trials)


def _check_trial_audio(trials: Trials, corpus: Path, found: Collection[str]) -> Iterator[Problem]:
    """Find utterances without audio; that of another suffix is found as when trials are scored."""
    folder = AudioFolder(corpus)
    for id_ in trials.utterance_ids:
        try:
            if id_ not in found and folder.find(id_) is None:
                yield error("missing_audio", id_, f"expected the audio that {trials.path} names, got no such file")
        except DataError as fault:
            yield error("missing_audio", id_, fault.what)


def _check_labels(trials: Trials) -> Iterator[Problem]:
    rows = zip(trials.enroll_ids, trials.test_ids, trials.is_target, strict=True)
    for enroll_id, test_id, is_target in rows:
        where = f"{trials.path}: {enroll_id} {test_id}"
        utterances = trials.enroll_utterances(enroll_id)
        if test_id in utterances:
            yield warning("same_utterance", where, "expected two recordings, got one on both sides")
        if all((speaker_of(each) == speaker_of(test_id)) != is_target for each in utterances):
            label, kind = ("1", "two speakers'") if is_target else ("0", "one speaker's")
            message = f"expected a label that agrees with the folders, got {label} between {kind} files"
            yield warning("trial_label", where, message)


def _check_overlap(ids: Sequence[str], against: Path) -> Iterator[Problem]:
    others = {speaker_of(id_) for id_ in _list_utterances(against)[1]}
    for speaker in sorted(set(map(speaker_of, ids)) & others):
        yield error("speaker_overlap", speaker, f"expected other speakers than in {against}, got the same")


def _check_counts(ids: Sequence[str], name: str) -> Iterator[Problem]:
    counts = PUBLISHED_COUNTS[name]
    found = len(set(map(speaker_of, ids)))
    if found != counts.speakers:
        yield error("count", name, f"expected {counts.speakers} speakers, got {found}")
    if len(ids) != counts.utterances:
        yield error("count", name, f"expected {counts.utterances} utterances, got {len(ids)}")
