"""Explain a verdict in two plain sentences."""

import math
from collections.abc import Iterable, Mapping

from mrlspk.training.head.verdict import NAMES, Candidate, Comparison, DomainVerdict, DomainWidth, Outcome, Verdict

WORDS: Mapping[Outcome, str] = {"WIN": "better", "EVEN": "same", "REGRESSION": "worse"}
HOLDS: Mapping[Candidate, str] = {
    "rotation": "the rotation: the model as it was, its values reordered so that the first ones count most",
    "start": "the start: a transform that is computed from the training speech, without training",
    "trained": "the trained head",
}


def explain(verdict: Verdict) -> tuple[str, str]:
    """Return which candidate won on the held-out speakers, and what the best checkpoint therefore holds."""
    places = {outcome: _places(verdict, outcome) for outcome in WORDS}
    trained, other = NAMES["trained"], NAMES[verdict.against]
    if verdict.kept == "trained":
        found = _why_trained(verdict, places["WIN"], other)
    elif places["REGRESSION"]:
        but = f", though better at {places['WIN']}" if places["WIN"] else ""
        found = f"the {trained} is worse than the {other} at {places['REGRESSION']}{but}"
    elif places["WIN"]:
        found = f"the {trained} is better than the {other} at {places['WIN']}, but not over all widths together"
    elif _is_faultless(verdict):
        found = "no candidate makes an error, so they cannot tell them apart: test on more speakers, or on harder ones"
    else:
        found = f"the {trained} is no better than the {other} at any width"
    speakers = f"{verdict.n_speakers} held-out {'speaker' if verdict.n_speakers == 1 else 'speakers'}"
    return f"On {speakers} {found}.", f"best.pt holds {HOLDS[verdict.kept]}."


def outcome_at(width: DomainWidth, verdict: Verdict) -> Outcome:
    """Return how the trained head does at a width, against what it has to beat."""
    return comparison_at(width, verdict).outcome


def comparison_at(width: DomainWidth, verdict: Verdict) -> Comparison:
    """Return the comparison of the trained head with what it has to beat."""
    pair = "trained", verdict.against
    return next(each for each in width.comparisons if (each.candidate, each.against) == pair)


def _why_trained(verdict: Verdict, better: str, other: str) -> str:
    if better:
        return f"the trained head is better than the {other} at {better} and worse at no width"
    before = verdict.rotation_mean_log_eer if verdict.against == "rotation" else verdict.start_mean_log_eer
    assert before is not None
    lower = 1 - math.exp(verdict.trained_mean_log_eer - before)
    return f"the trained head's EER is {lower:.0%} lower than the {other}'s; at no width alone is that more than chance"


def _is_faultless(verdict: Verdict) -> bool:
    """Return whether every candidate has an EER of 0 at every published width of the domains that decide."""
    widths = [each for domain in verdict.domains if domain.decides for each in domain.widths if each.published]
    rates = [rate for each in widths for rate in each.eer.values()]
    return bool(rates) and not any(rates)


def _places(verdict: Verdict, outcome: Outcome) -> str:
    """Return the published widths with an outcome, as part of a sentence; of each domain that decides."""
    deciding = [each for each in verdict.domains if each.decides]
    found = ((domain, _dims(domain, verdict, outcome)) for domain in deciding)
    return "; ".join(
        (_values(dims, domain) + (f" of {domain.domain}" if domain.domain else "")) for domain, dims in found if dims
    )


def _dims(domain: DomainVerdict, verdict: Verdict, outcome: Outcome) -> list[int]:
    return [each.dim for each in domain.widths if each.published and outcome_at(each, verdict) == outcome]


def _values(dims: list[int], domain: DomainVerdict) -> str:
    if len(dims) > 1 and len(dims) == sum(each.published for each in domain.widths):
        return "every width"
    return f"{_listed(map(str, dims))} values"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
