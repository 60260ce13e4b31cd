"""The two sentences of verdicts made by hand."""

from dataclasses import replace

import pytest

from mrlspk.training.head.verdict import Comparison, DomainVerdict, DomainWidth, Verdict
from mrlspk.training.head.verdict_words import explain


def domain_of(outcomes, *, against="rotation", name="", published=True, decides=True):
    """Return a domain whose widths 64, 128 … have these outcomes of the trained head."""
    widths = tuple(
        DomainWidth(64 * (1 + i), published, {}, (Comparison("trained", against, 0.0, None, 0.5, outcome),))
        for i, outcome in enumerate(outcomes)
    )
    return DomainVerdict(name, decides, 16, 100, 100, widths)


def verdict_of(*domains, kept, against="rotation", means=(-2.0, -2.5, -2.2)):
    rotation, trained, start = means
    return Verdict((), rotation, trained, kept, "", start, n_speakers=16, domains=domains, against=against)


@pytest.mark.parametrize(
    ("outcomes", "kept", "found"),
    [
        (["WIN", "EVEN", "WIN"], "trained", "better than the rotation at 64 and 192 values and worse at no width"),
        (["WIN", "WIN"], "trained", "better than the rotation at every width and worse at no width"),
        (["EVEN", "EVEN"], "trained", "EER is 39% lower than the rotation's; at no width alone is that more"),
        (["EVEN", "EVEN"], "rotation", "is no better than the rotation at any width"),
        (["EVEN", "REGRESSION"], "rotation", "is worse than the rotation at 128 values"),
        (["WIN", "REGRESSION"], "rotation", "at 128 values, though better at 64 values"),
        (["WIN", "EVEN"], "rotation", "better than the rotation at 64 values, but not over all widths together"),
    ],
)
def test_first_sentence_says_which_widths_decided(outcomes, kept, found):
    first, second = explain(verdict_of(domain_of(outcomes), kept=kept))
    assert first.startswith("On 16 held-out speakers the trained head")
    assert found in first  # 1 - exp(-0.5) is 39 %
    assert second.startswith("best.pt holds the ")
    assert ("the trained head" in second) == (kept == "trained")


def test_trained_head_is_set_against_the_start_that_it_has_to_beat():
    domain = domain_of(["EVEN"], against="start")
    first, second = explain(verdict_of(domain, kept="trained", against="start"))
    assert "26% lower than the start's" in first  # 1 - exp(-0.3)
    assert "the start: a transform" in explain(verdict_of(domain, kept="start", against="start"))[1]
    assert "start" not in second


@pytest.mark.parametrize(("rate", "tells_apart"), [(0.0, False), (0.01, True)])
def test_candidates_without_errors_are_not_told_apart(rate, tells_apart):
    widths = tuple(replace(each, eer={"rotation": 0.0, "trained": rate}) for each in domain_of(["EVEN"]).widths)
    first, _ = explain(verdict_of(replace(domain_of([]), widths=widths), kept="rotation"))
    assert ("no better than the rotation" in first) == tells_apart
    assert (
        first.startswith("On 16 held-out speakers no candidate makes an error, so they cannot tell them") != tells_apart
    )


def test_unpublished_widths_are_not_named():
    first, _ = explain(verdict_of(domain_of(["REGRESSION"], published=False), domain_of(["EVEN"]), kept="rotation"))
    assert "no better than the rotation at any width" in first


def test_domains_are_named_if_they_decide():
    domains = domain_of(["REGRESSION", "EVEN"], name="phone"), domain_of(["REGRESSION"], name="small", decides=False)
    first, _ = explain(verdict_of(domain_of(["WIN", "WIN"], name="studio"), *domains, kept="rotation"))
    assert first.endswith("worse than the rotation at 64 values of phone, though better at every width of studio.")
