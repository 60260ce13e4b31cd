"""Warn of what makes the figures of a trial list say less than they seem to, or nothing."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlspk.errors import shorten
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS, ScoredTrials

if TYPE_CHECKING:
    from mrlspk.models.checkpoints import LoadedModel

log = logging.getLogger("mrlspk.evaluation")

SWAPPED = 0.8  # an equal error rate above this says that scores tell speakers apart, the wrong way round
CHANCE = 0.4  # and one from here on that they hardly tell them apart
FEWEST_TRIALS = 50  # of each kind, below which an error rate near 50 % may be chance
SHOWN = 3  # checkpoints
SWAP = """awk '{ $1 = 1 - $1; print }' LIST > MENDED"""


def warn_of_doubts(path: str, trials: ScoredTrials, eers: Collection[float]) -> None:
    """Warn of few speakers, of labels that look swapped, and of scores that are no better than chance.

    Args:
        path: Of the list, as it is named in messages.
        trials: Of the list, with the scores of one model.
        eers: Equal error rate of each model at its full width, in [0, 1].
    """
    n_trials = min(trials.n_target, trials.is_target.size - trials.n_target)
    for doubt in _doubts(min(trials.n_speakers_by_kind), n_trials, min(eers)):
        log.warning("%s: %s", path, doubt)


def _doubts(n_speakers: int, n_trials: int, eer: float) -> Iterator[str]:
    if eer >= SWAPPED:  # the speakers are counted by the labels: their number would mislead
        yield (
            f"EER of {100 * eer:.0f} %: the labels look swapped. 1 has to mark trials of one speaker, 0 those of two; "
            f"to mend a list of lines such as `1 a.wav b.wav`: {SWAP}"
        )
        return
    if n_speakers < MIN_SPEAKERS:
        counted = "1 speaker is" if n_speakers == 1 else f"{n_speakers} speakers are"
        yield f"{counted} few ({MIN_SPEAKERS} give intervals): on others the EER may be far off"
    if eer >= CHANCE and n_trials >= FEWEST_TRIALS:
        yield (
            f"EER of {100 * eer:.0f} %, near the 50 % of chance: the labels or ids of the list may not fit the audio, "
            "or the model does not fit the speech"
        )


def warn_of_chosen(path: str, sha256: str, checkpoints: "Mapping[str, LoadedModel | None]") -> None:
    """Warn if the trials of a list chose a checkpoint that is scored on them, or it was refitted on their speakers.

    Args:
        path: Of the list, as it is named in the message.
        sha256: Of its trials.
        checkpoints: By name; None for other models.
    """
    used = {name: each.contents for name, each in checkpoints.items() if each and _chose(sha256, each.contents)}
    refitted = [name for name, contents in used.items() if _is_refitted(contents)]
    if refitted:
        what = "%s: %s was refitted on the speakers of these trials: on other speakers the error may be much higher"
        log.warning(what, path, _names(refitted))
    if chosen := [name for name in used if name not in refitted]:
        what = "%s: these trials chose the checkpoint %s: on other speakers the error may be higher"
        log.warning(what, path, _names(chosen))


def _names(checkpoints: Sequence[str]) -> str:
    return ", ".join(map(shorten, checkpoints[:SHOWN])) + (" …" if len(checkpoints) > SHOWN else "")


def _chose(sha256: str, contents: Mapping[str, Any]) -> bool:
    """Return whether a run validated on these trials, and chose among epochs or heads by them, or refitted on them."""
    from mrlspk.models.checkpoints import schema  # whoever has a checkpoint has loaded PyTorch

    validation = (contents.get(schema.CORPUS) or {}).get("validation")
    epoch = (contents.get(schema.PROGRESS) or {}).get("epoch", 1)  # 0: before training
    return bool(validation == sha256 and (epoch or contents.get(schema.VERDICT) or _is_refitted(contents)))


def _is_refitted(contents: Mapping[str, Any]) -> bool:
    return bool((contents.get("card") or {}).get("refit"))
