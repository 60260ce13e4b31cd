"""Check a corpus: layout, counts, audio, trials and overlap; report every problem."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import numpy as np

from mrlspk.data.audio.source import Channel, take_channel
from mrlspk.data.checks.inspection import AudioNeeds, inspect_files
from mrlspk.data.choices import AUTO, Decode
from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.corpora.recipe_registry import published_counts, recipe_for
from mrlspk.data.left_out import LeftOut, named
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.missing_files import missing_cause
from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.trials import BadLinesError, Trials, official_match, official_warning, read_trials
from mrlspk.data.utterance_ids import is_utf8, name_fault, printable
from mrlspk.errors import DataError, UsageError
from mrlspk.files import OnProgress
from mrlspk.inference.model_file import ModelFile

N_SAMPLED = 50  # files decoded by ``Decode.SAMPLE``
SAMPLE_SEED = 0


@dataclass(frozen=True)
class CorpusReport:
    """Contents of a corpus and its problems.

    Args:
        path: The corpus.
        corpus: Name of the recipe that reads it.
        speakers: Number of speakers.
        utterances: Number of utterances whose speaker is known.
        seconds: Length of the readable audio, as the headers say; None if no header was read.
        decoded: Number of files that were decoded.
        problems: Errors first.
        left_out: What is in the corpus and is not used.
        needs: Of the model that it was checked for; None without one.
    """

    path: Path
    corpus: str
    speakers: int
    utterances: int
    seconds: float | None
    decoded: int
    problems: tuple[Problem, ...]
    left_out: tuple[LeftOut, ...] = ()
    needs: AudioNeeds | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return all(problem.severity != "error" for problem in self.problems)


def check_data(
    path: Path,
    *,
    corpus: str = AUTO,
    trials: Sequence[Path] = (),
    against: Path | None = None,
    expect: str | None = None,
    decode: Decode = Decode.SAMPLE,
    jobs: int | None = None,
    channel: Channel = "mix",
    model: ModelFile | None = None,
    on_progress: OnProgress | None = None,
) -> CorpusReport:
    """Check a corpus.

    Args:
        path: Folder whose subfolders are the speakers, or a corpus that another recipe reads.
        corpus: Its recipe: auto, a name, or a pattern of paths.
        trials: Lists whose audio must be in the corpus.
        against: Another corpus, which must have other speakers.
        expect: Name of a corpus whose published counts must match.
        decode: How much audio to decode; with ``Decode.NONE`` no file is opened.
        jobs: Threads; None: one for each processor, up to eight.
        channel: Channel to decode, counted from 0.
        model: Model that is to embed the corpus: its sample rate and fewest samples are checked too.
        on_progress: Called with (files done, files).

    Raises:
        DataError: If ``path`` or ``against`` is absent or holds no audio.
        UsageError: If the counts of ``expect`` are not known, or a model is given and no header is read.
        CheckpointError: If the model cannot be loaded.
    """
    if expect is not None and expect not in published_counts():
        raise UsageError(f"expected one of {', '.join(published_counts())}, got {expect!r}", parameter="expect")
    if model is not None and decode is Decode.NONE:
        what = "a model needs the lengths, which only the headers tell"
        raise UsageError(what, fix="Use `decode=sample`.", parameter="decode")
    needs = None if model is None else _needs_of(model)
    recipe = recipe_for(path, corpus)
    listing = recipe.list_utterances(path)
    found = (replace(each, source=take_channel(each.source, channel)) for each in listing.utterances)
    utterances = sorted(found, key=attrgetter("utterance_id"))
    problems = [
        *listing.problems,
        *_check_names(utterances),
        *_check_layout(listing.left_out, recipe.layout),
        *_check_speakers(utterances),
        *_check_duplicates(utterances),
    ]
    for trial_path in trials:
        problems += _check_trials(trial_path, path, listing)
    if against is not None:
        problems += _check_overlap(utterances, against)
    if expect is not None:
        problems += _check_counts(utterances, expect)
    readable = [each for each in utterances if is_utf8(each.utterance_id)]
    decoded_ids = _choose_decoded([each.utterance_id for each in readable], decode)
    seconds = None
    if decode is not Decode.NONE:
        inspection = inspect_files(readable, decoded_ids=decoded_ids, needs=needs, jobs=jobs, on_progress=on_progress)
        seconds = inspection.seconds
        problems += inspection.problems
    problems.sort(key=lambda problem: problem.severity)
    problems = [replace(each, where=printable(each.where), message=printable(each.message)) for each in problems]
    return CorpusReport(
        path,
        recipe.name,
        speakers=len(_speakers(utterances)),
        utterances=len(utterances),
        seconds=seconds,
        decoded=len(decoded_ids),
        problems=tuple(problems),
        left_out=tuple(each.within(path) for each in listing.all_left_out()),
        needs=needs,
    )


def _needs_of(model: ModelFile) -> AudioNeeds:
    from mrlspk.inference.backend_registry import load_backend  # a corpus is checked without a runtime

    backend = load_backend(model).backend
    return AudioNeeds(model.typed, backend.sample_rate, backend.min_samples)


def _speakers(utterances: Iterable[Utterance]) -> set[str]:
    return {utterance.speaker_id for utterance in utterances}


def _choose_decoded(ids: Sequence[str], decode: Decode) -> Collection[str]:
    if decode is Decode.NONE:
        return frozenset()
    if decode is Decode.ALL or len(ids) <= N_SAMPLED:
        return frozenset(ids)
    chosen = np.random.default_rng(SAMPLE_SEED).choice(len(ids), N_SAMPLED, replace=False)
    return frozenset(ids[index] for index in chosen)


def _check_names(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    for utterance in utterances:
        if fault := name_fault(utterance.utterance_id):
            yield error("name", utterance.utterance_id, f"{fault}: rename the file or folder")


def _check_layout(left_out: Sequence[str], layout: str) -> Iterator[Problem]:
    """Count audio that is in no speaker's folder, by top folder and depth."""
    misplaced: dict[tuple[str, int], list[str]] = {}
    for path in left_out:
        top, *rest = path.split("/")
        misplaced.setdefault((top, len(rest)), []).append(path)
    for (top, _), paths in misplaced.items():
        yield warning("layout", top, f"expected {layout}: left out {named('file', paths)}")


def _check_speakers(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    for speaker, count in Counter(utterance.speaker_id for utterance in utterances).items():
        if count == 1:
            yield warning("one_file_speaker", speaker, "expected two utterances or more, got one")


def _check_duplicates(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """Find ids that are there twice, and utterances that are there in two formats."""
    first: dict[str, str] = {}
    for utterance in utterances:
        id_, suffix = utterance.utterance_id, utterance.source.suffix
        stem = id_[: -len(suffix)] if suffix and id_.lower().endswith(suffix) else id_
        other = first.setdefault(stem, id_)
        if other != id_:
            yield warning("duplicate", id_, f"expected one file of an utterance, got {other} too")
    for id_, count in Counter(utterance.utterance_id for utterance in utterances).items():
        if count > 1:
            yield error("repeated_id", id_, f"expected each id once, got it {count} times")


def _check_trials(path: Path, corpus: Path, listing: CorpusListing) -> Iterator[Problem]:
    """Check that a list can be read, that its audio is there, and that its labels agree with the speakers."""
    try:
        trials = read_trials(path)
    except BadLinesError as fault:
        for line in fault.lines:
            yield error("trials", line.where, line.what)
        return
    except DataError as fault:
        yield error("trials", str(fault.where), fault.what)
        return
    speaker_by_id = {utterance.utterance_id: utterance.speaker_id for utterance in listing.utterances}
    trials = replace(trials, speaker_by_id=speaker_by_id)
    yield from _check_trial_audio(trials, corpus, {*speaker_by_id, *listing.left_out})
    if not (trials.n_target and trials.n_nontarget):
        counts = f"{trials.n_target} target, {trials.n_nontarget} non-target"
        yield warning("trials", str(path), f"expected both kinds of trial, got {counts}")
    if trials.n_repeated:
        yield warning("repeated_trial", str(path), f"expected each trial once, got {trials.n_repeated} again")
    if difference := official_warning(trials, official_match(trials)):
        yield warning("official_list", str(path), difference)
    yield from _check_labels(trials)


def _check_trial_audio(trials: Trials, corpus: Path, found: Collection[str]) -> Iterator[Problem]:
    """Find utterances without audio, looking for other suffixes as `eval` does."""
    folder = AudioLookup(corpus)
    for id_ in trials.utterance_ids:
        try:
            if id_ not in found and folder.find(id_) is None:
                cause = missing_cause(corpus / id_)
                what = f"expected the audio that {trials.path} names, got no such file"
                yield error("missing_audio", id_, f"{what}: {cause}" if cause else what)
        except DataError as fault:
            yield error("missing_audio", id_, fault.what)


def _check_labels(trials: Trials) -> Iterator[Problem]:
    rows = zip(trials.enroll_ids, trials.test_ids, trials.is_target, strict=True)
    for enroll_id, test_id, is_target in rows:
        where = f"{trials.path}: {enroll_id} {test_id}"
        utterances = trials.enroll_utterances(enroll_id)
        if test_id in utterances:
            yield warning("same_utterance", where, "expected two recordings, got one on both sides")
        if all((trials.speaker_of(each) == trials.speaker_of(test_id)) != is_target for each in utterances):
            label, kind = ("1", "two speakers'") if is_target else ("0", "one speaker's")
            message = f"expected a label that agrees with the folders, got {label} between {kind} files"
            yield warning("trial_label", where, message)


def _check_overlap(utterances: Sequence[Utterance], against: Path) -> Iterator[Problem]:
    others = _speakers(recipe_for(against).list_utterances(against).utterances)
    for speaker in sorted(_speakers(utterances) & others):
        yield error("speaker_overlap", speaker, f"expected other speakers than in {against}, got the same")


def _check_counts(utterances: Sequence[Utterance], name: str) -> Iterator[Problem]:
    counts, found = published_counts()[name], len(_speakers(utterances))
    if found != counts.speakers:
        yield error("count", name, f"expected {counts.speakers} speakers, got {found}")
    if len(utterances) != counts.utterances:
        yield error("count", name, f"expected {counts.utterances} utterances, got {len(utterances)}")
