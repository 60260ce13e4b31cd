"""A trial list together with the audio that it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.trials import Trials, read_trials
from mrlspk.errors import DataError, UsageError

SHOWN_MISSING = 10


@dataclass(frozen=True)
class TrialList:
    """Trials, the folder that their utterance ids are relative to, and why it is these that are scored."""

    trials: Trials
    audio_root: Path
    source: str

    def path_of(self, utterance_id: str) -> Path:
        """Return the audio file of an utterance."""
        return self.audio_root / utterance_id


def read_trial_lists(paths: Sequence[Path], audio_roots: Sequence[Path], *, source: str) -> tuple[TrialList, ...]:
    """Return the lists with their audio: one root for all lists or one each, in order; none: the folder of each list.

    Raises:
        UsageError: If the roots are neither one, nor one for each list, nor none.
        DataError: If a list cannot be read, holds one kind of trial only, or names audio that is not there.
    """
    if len(audio_roots) not in {0, 1, len(paths)}:
        raise UsageError(
            f"{len(audio_roots)} folders of audio for {len(paths)} trial lists",
            "--audio-root",
            "Give one --audio-root for all lists, or one for each --trials, in the same order.",
        )
    roots = list(audio_roots) or [path.parent for path in paths]
    roots = roots * len(paths) if len(roots) == 1 else roots
    return tuple(
        check_trial_list(TrialList(read_trials(path), root, source)) for path, root in zip(paths, roots, strict=True)
    )


def check_trial_list(trial_list: TrialList) -> TrialList:
    """Return the list as it is, if it can be scored.

    Raises:
        DataError: If it holds one kind of trial only, or names audio that is not there.
    """
    trials = trial_list.trials
    if not (trials.n_target and trials.n_nontarget):
        raise DataError(
            f"expected both kinds of trial, got {trials.n_target} target and {trials.n_nontarget} non-target",
            trials.path,
            "An error rate needs lines that begin with 1 and lines that begin with 0.",
        )
    missing = [utterance for utterance in trials.utterance_ids if not trial_list.path_of(utterance).is_file()]
    if missing:
        more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        raise DataError(
            f"{len(missing)} of {len(trials.utterance_ids)} utterances are not in {trial_list.audio_root}: "
            f"{', '.join(missing[:SHOWN_MISSING])}{more}",
            trials.path,
            "Give the folder that the list's paths are relative to with --audio-root.",
        )
    return trial_list
