"""Check a trial list against a corpus."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.manifest import CorpusListing
from mrlspk.data.missing_files import missing_cause
from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.trials import BadLinesError, Trials, official_match, official_warning, read_trials
from mrlspk.errors import DataError


def check_trials(path: Path, corpus: Path, listing: CorpusListing) -> Iterator[Problem]:
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
    wanted = frozenset(trials.utterance_ids)
    named = (utterance for utterance in listing.utterances if utterance.utterance_id in wanted)
    speaker_by_id = {utterance.utterance_id: utterance.speaker_id for utterance in named}
    trials = replace(trials, speaker_by_id=speaker_by_id)
    yield from _check_audio(trials, corpus, {*speaker_by_id, *listing.left_out})
    if not (trials.n_target and trials.n_nontarget):
        counts = f"{trials.n_target} target, {trials.n_nontarget} non-target"
        yield warning("one_sided_trials", str(path), f"expected both kinds of trial, got {counts}")
    if trials.n_repeated:
        yield warning("repeated_trial", str(path), f"expected each trial once, got {trials.n_repeated} again")
    if difference := official_warning(trials, official_match(trials)):
        yield warning("official_list", str(path), difference)
    yield from _check_labels(trials)


def _check_audio(trials: Trials, corpus: Path, found: Collection[str]) -> Iterator[Problem]:
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
