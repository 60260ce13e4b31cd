"""Say what a cosine means by the ranges of same-speaker and different-speaker pairs of a model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrlspk.models.score_ranges import ScoreQuantiles, ScoreRanges
    from mrlspk.workflows.verify import WidthScore

HEADINGS = "same speaker", "different speakers"


def shown_ranges(ranges: "ScoreRanges | None") -> tuple[str, str]:
    """Return the ranges of one width for a table: same speaker, different speakers."""
    return ("", "") if ranges is None else (_shown(ranges.same), _shown(ranges.different))


def explain_ranges(scores: Sequence["WidthScore"], ranges: Sequence["ScoreRanges"]) -> str | None:
    """Return what the cosine at the widest width with ranges suggests, and what the ranges are; None without ranges."""
    cosines = {each.dim: each.cosine for each in scores}
    known = [each for each in ranges if each.dim in cosines]
    if not known:
        return None
    widest = known[-1]
    counts = f"{widest.same.n:,} same-speaker and {widest.different.n:,} different-speaker pairs"
    return (
        f"{_compare(cosines[widest.dim], widest)}, at width {widest.dim}\n"
        f"ranges: the middle 90 % of {counts} of held-out speakers,\n"
        "in whole recordings of the speech that the model was made with; other recordings have other ranges"
    )


def _compare(cosine: float, ranges: "ScoreRanges") -> str:
    is_same = ranges.same.p05 <= cosine
    is_different = cosine <= ranges.different.p95
    if is_same and not is_different:
        return f"{cosine:.4f} is a usual cosine of the same speaker, and a rare one of different speakers"
    if is_different and not is_same:
        return f"{cosine:.4f} is a usual cosine of different speakers, and a rare one of the same speaker"
    common = "usual" if is_same else "rare"
    return f"{cosine:.4f} is a {common} cosine of the same speaker and of different speakers alike"


def _shown(quantiles: "ScoreQuantiles") -> str:
    return f"{quantiles.p05:.2f} to {quantiles.p95:.2f}"
