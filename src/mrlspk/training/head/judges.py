"""Divide the held-out speakers of a head run: some choose the epoch, the others judge the candidates.

An epoch that is the best of several on some trials has been lucky on them. If the same trials then compared it with a
closed form, which chose nothing there, the luck would count.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.model_card import ModelCard
from mrlspk.training.card_files import with_validation
from mrlspk.training.records import ValidationResult
from mrlspk.training.validation import ValidationTrials

FEWEST = 30  # held-out speakers that are divided; with fewer, all do both
PART = 4  # one of so many chooses the epoch: epochs differ little, candidates differ more


def draw_judges(trials: ValidationTrials, *, seed: int) -> tuple[str, ...]:
    """Return the speakers that judge, drawn from each domain; none if there are too few speakers or trials to divide.

    Args:
        trials: Of all held-out speakers.
        seed: Seed of the draw.
    """
    domains = trials.speakers_by_domain()
    rng, judges = np.random.default_rng(seed), set[str]()
    for members in domains.values():
        judges.update(rng.permutation(members)[len(members) // PART :].tolist())
    if len(trials.speakers) < FEWEST:
        return ()
    choosing, judging = trials.only(set(trials.speakers) - judges), trials.only(judges)
    if not choosing.both_kinds or judging.by_domain().keys() != trials.by_domain().keys():
        return ()
    return tuple(sorted(judges))


def divide(trials: ValidationTrials, judges: tuple[str, ...]) -> tuple[ValidationTrials, ValidationTrials]:
    """Return the trials that choose the epoch and those that judge: all of them twice if there are no judges."""
    if not judges:
        return trials, trials
    return trials.only(set(trials.speakers) - set(judges)), trials.only(judges)


def judged_entries(contents: Mapping[str, Any], judging: ValidationTrials, result: ValidationResult) -> dict[str, Any]:
    """Return metrics and model card of a checkpoint, measured on the speakers that judged it."""
    card, trials = ModelCard.model_validate(contents[schema.CARD]), judging.trials
    shown = f"{len(trials):,} of the {card.trials.description}: those among the {len(judging.speakers):,} that judged"
    counts = {"description": shown, "n_target": trials.n_target, "n_nontarget": trials.n_nontarget}
    card = card.model_copy(update={"trials": card.trials.model_copy(update=counts)})
    card = with_validation(card, result, epoch=card.epoch)
    return {schema.VALIDATION: result.entry(), schema.CARD: card.entry()}
