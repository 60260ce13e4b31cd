"""Decide which head becomes the best checkpoint: the rotation, the transform that training starts from, or the trained.

The rule:

1. Rotation and start are fitted in closed form, so that training speakers, held out in turn, decide between them: the
   start must have the lower mean log EER, by more than a tie.
2. The trained head is compared with the better of both on held-out speakers that did not choose the epoch, domain by
   domain. It replaces it if its mean log EER over domains and published widths is lower by more than a tie, and it is
   significantly worse at no published width of any domain. With too few training speakers for the first step, the start
   is compared with the rotation in this way too.
3. A domain with few speakers is shown, but decides only if all have few.

Significant is an interval over speakers of the paired difference that excludes zero, or with few speakers McNemar's
test. No correction is made for several widths and domains: more of them make it harder to replace the simpler one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.paired_comparison import ComparedWidth, Difference, compare_systems
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS, Resampling
from mrlspk.metrics.significance import LEVEL, Interval
from mrlspk.rotation.selection import TIE
from mrlspk.training.head.closed_forms import ClosedForms
from mrlspk.training.records import Baselines
from mrlspk.training.validation import ValidationTrials

type Outcome = Literal["WIN", "EVEN", "REGRESSION"]
type Candidate = Literal["rotation", "start", "trained"]

NAMES: Mapping[Candidate, str] = {"rotation": "rotation", "start": "start", "trained": "trained head"}
FEWEST_TO_DECIDE = 6  # speakers of a domain: the EER of three says little, and would count as much as that of thirty
_CANDIDATES: Mapping[str, Candidate] = {name: name for name in NAMES}


@dataclass(frozen=True)
class WidthVerdict:
    """The EERs of the candidates at one width on all trials, and whether the trained head differs from the rotation.

    Attributes:
        dim: The width.
        published: Whether the model is published with it.
        rotation: EER of the rotation.
        trained: EER of the trained head.
        delta_ci: 95 % interval of their difference over speakers; None with too few speakers.
        p_value: Without an interval, McNemar's of the decisions at each head's own EER threshold.
        outcome: ``EVEN`` unless the interval excludes zero or, without one, the p-value is below 0.05.
        start: EER of the start; None if training starts from the rotation.
    """

    dim: int
    published: bool
    rotation: float
    trained: float
    delta_ci: Interval | None
    p_value: float | None
    outcome: Outcome
    start: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Whether a candidate differs from a simpler one, as in `WidthVerdict`."""

    candidate: Candidate
    against: Candidate
    delta_eer: float
    delta_ci: Interval | None
    p_value: float | None
    outcome: Outcome


@dataclass(frozen=True)
class DomainWidth:
    """The EERs of the candidates at one width on the trials of one domain, and their comparisons."""

    dim: int
    published: bool
    eer: dict[Candidate, float]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class DomainVerdict:
    """The speakers and trials of one domain, its widths, and whether it has enough speakers to decide.

    The only domain of a run has no name.
    """

    domain: str
    decides: bool
    n_speakers: int
    n_target: int
    n_nontarget: int
    widths: tuple[DomainWidth, ...]


@dataclass(frozen=True)
class Verdict:
    """Which of the candidates becomes the best checkpoint, and why.

    Attributes:
        widths: Rows over the trials of all domains.
        rotation_mean_log_eer: Over published widths and the domains that decide.
        trained_mean_log_eer: The same.
        kept: The candidate that is kept.
        reason: Why.
        start_mean_log_eer: Of the start; None if training starts from the rotation.
        n_speakers: Speakers that judged.
        judges_chose_epoch: Whether they chose the epoch too, being few, which favours the trained head.
        domains: Rows of each domain, which decide.
        closed_forms: Rotation and start on training speakers; None if these were too few.
        against: The better of rotation and start, which the trained head has to beat.
    """

    widths: tuple[WidthVerdict, ...]
    rotation_mean_log_eer: float
    trained_mean_log_eer: float
    kept: Candidate
    reason: str
    start_mean_log_eer: float | None = None
    n_speakers: int = 0
    judges_chose_epoch: bool = True
    domains: tuple[DomainVerdict, ...] = ()
    closed_forms: ClosedForms | None = None
    against: Candidate = "rotation"


def reach_verdict(
    trials: ValidationTrials,
    embeddings: Mapping[Candidate, NDArray[np.floating]],
    *,
    n_resamples: int,
    seed: int,
    judges_chose_epoch: bool = True,
    closed_forms: ClosedForms | None = None,
) -> Verdict:
    """Return the verdict on embeddings (utterances, embed_dim) of the same utterances, as the module says.

    Args:
        trials: Of the speakers that judge.
        embeddings: Of each candidate, from the simplest on; the rotation and the trained head are among them.
        n_resamples: Resamples for intervals over speakers; 0 for McNemar's test alone.
        seed: Of the resamples.
        judges_chose_epoch: Whether these speakers chose the epoch too.
        closed_forms: Rotation and start on training speakers, which then decide between the two.
    """
    resampling = Resampling(n_resamples, seed)
    whole = _compare(trials, embeddings, resampling)
    parts = trials.by_domain()
    compared = {
        name: whole if part is trials else _compare(part, embeddings, resampling) for name, part in parts.items()
    }
    enough = [name for name, part in parts.items() if len(part.speakers) >= FEWEST_TO_DECIDE] or list(parts)
    domains = tuple(
        _judge_domain(name, parts[name], widths, decides=name in enough) for name, widths in compared.items()
    )
    means = {
        name: float(np.mean([_mean_log_eer(parts[each.domain], each, name) for each in domains if each.decides]))
        for name in embeddings
    }
    deciding = [each for each in domains if each.decides]
    against, grounds = _closed_form(deciding, means, closed_forms)
    kept, reason = _decide(deciding, means, against, grounds)
    return Verdict(
        tuple(_judge_width(width, published=width.dim in trials.published_dims) for width in whole),
        means["rotation"],
        means["trained"],
        kept=kept,
        reason=reason,
        start_mean_log_eer=means.get("start"),
        n_speakers=len(trials.speakers),
        judges_chose_epoch=judges_chose_epoch,
        domains=domains,
        closed_forms=closed_forms,
        against=against,
    )


def _compare(
    trials: ValidationTrials, embeddings: Mapping[Candidate, NDArray[np.floating]], resampling: Resampling
) -> tuple[ComparedWidth, ...]:
    systems = {str(name): trials.scored(vectors) for name, vectors in embeddings.items()}
    n_target_speakers, _ = systems["rotation"].n_speakers_by_kind
    resamples = resampling.n_resamples > 0 and n_target_speakers >= MIN_SPEAKERS
    return compare_systems(systems, resampling=resampling if resamples else None)


def _mean_log_eer(trials: ValidationTrials, domain: DomainVerdict, name: Candidate) -> float:
    return trials.mean_log_eer({width.dim: width.eer[name] for width in domain.widths})


def _judge_domain(
    name: str, trials: ValidationTrials, widths: Sequence[ComparedWidth], *, decides: bool
) -> DomainVerdict:
    rows = tuple(
        DomainWidth(
            width.dim,
            width.dim in trials.published_dims,
            {each: width.models[each].eer for each in NAMES if each in width.models},
            tuple(map(_comparison, width.pairs)),
        )
        for width in widths
    )
    listed = trials.trials
    return DomainVerdict(name, decides, len(trials.speakers), listed.n_target, listed.n_nontarget, rows)


def _comparison(pair: Difference) -> Comparison:
    """Return the outcome of a comparison: by the interval, or without one by McNemar's test."""
    if pair.delta_ci is None:
        p_value, differs = pair.mcnemar.p_value, pair.mcnemar.p_value < 1 - LEVEL
    else:
        p_value, differs = None, not pair.delta_ci[0] <= 0 <= pair.delta_ci[1]
    outcome: Outcome = "EVEN"
    if differs and pair.delta_eer:
        outcome = "WIN" if pair.delta_eer < 0 else "REGRESSION"
    return Comparison(_CANDIDATES[pair.b], _CANDIDATES[pair.a], pair.delta_eer, pair.delta_ci, p_value, outcome)


def _judge_width(width: ComparedWidth, *, published: bool) -> WidthVerdict:
    (pair,) = (each for each in width.pairs if (each.a, each.b) == ("rotation", "trained"))
    found, eer = _comparison(pair), {name: metrics.eer for name, metrics in width.models.items()}
    return WidthVerdict(
        width.dim,
        published,
        eer["rotation"],
        eer["trained"],
        found.delta_ci,
        found.p_value,
        found.outcome,
        start=eer.get("start"),
    )


def _decide(
    domains: Sequence[DomainVerdict], means: Mapping[Candidate, float], against: Candidate, grounds: Sequence[str]
) -> tuple[Candidate, str]:
    """Return which candidate is kept, and why, after the grounds for the better closed form."""
    if (objection := _objection("trained", against, domains, means)) is None:
        why = f"its mean log EER is below the {NAMES[against]}'s, and no published width is worse"
        return "trained", "; ".join([why, *grounds])
    return against, "; ".join([objection, *grounds])


def _closed_form(
    domains: Sequence[DomainVerdict], means: Mapping[Candidate, float], closed_forms: ClosedForms | None
) -> tuple[Candidate, list[str]]:
    """Return the better of rotation and start, and why; without a start there is nothing to say."""
    if "start" not in means:
        return "rotation", []
    if closed_forms is not None:
        return "start" if closed_forms.prefers_start else "rotation", [closed_forms.reason]
    objection = _objection("start", "rotation", domains, means)
    return ("rotation", [objection]) if objection else ("start", ["the start's mean log EER is below the rotation's"])


def _objection(
    candidate: Candidate, against: Candidate, domains: Sequence[DomainVerdict], means: Mapping[Candidate, float]
) -> str | None:
    """Return why a candidate does not replace a simpler one; None if it does."""
    if worse := [place for domain in domains if (place := _worse_widths(candidate, against, domain))]:
        return f"the {NAMES[candidate]} is worse at {'; '.join(worse)}"
    if means[candidate] >= means[against] - TIE:
        return f"the {NAMES[candidate]}'s mean log EER is not below the {NAMES[against]}'s"
    return None


def _worse_widths(candidate: Candidate, against: Candidate, domain: DomainVerdict) -> str:
    """Return the published widths of a domain at which a candidate is worse, as part of a sentence."""
    dims = [
        str(width.dim)
        for width in domain.widths
        if width.published
        for each in width.comparisons
        if (each.candidate, each.against, each.outcome) == (candidate, against, "REGRESSION")
    ]
    of_domain = f" of {domain.domain}" if domain.domain else ""
    return f"{', '.join(dims)}{of_domain}" if dims else ""


def measure_baselines(
    trials: ValidationTrials, own: NDArray[np.floating], rotated: NDArray[np.floating], *, method: str
) -> Baselines:
    """Return the EERs of the model's own embedding, whole and truncated, and of its rotation.

    Truncation is not scored at widths where an embedding is all zeros: CAM++ has zeros among its values.

    Args:
        trials: The trials to score.
        own: (utterances, own_dim) embeddings before rotation.
        rotated: (utterances, embed_dim) embeddings at the start of training.
        method: Of the rotation.
    """
    own_dim = own.shape[1]
    narrower = [dim for dim in trials.dims if dim <= own_dim and own[:, :dim].any(axis=1).all()]
    rotation = trials.eers(rotated, trials.dims)
    return Baselines(
        own_dim=own_dim,
        own=trials.eers(own, (own_dim,))[own_dim],
        truncation=trials.eers(own, tuple(narrower)),
        rotation=rotation,
        rotation_method=method,
        rotation_mean_log_eer=trials.mean_log_eer_of(rotated),
    )
