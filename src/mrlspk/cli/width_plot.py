"""Draw equal error rates over the width of the embedding as bars of text."""

from collections.abc import Iterator, Mapping

from mrlspk.cli.output import percent

BLOCK, LONGEST = "█", 40


def width_plot(eers: Mapping[str, float]) -> Iterator[str]:
    """Yield a bar for each label, as long as its EER is high, with the EER in per cent at its end."""
    margin = max(map(len, eers))
    figures = {label: percent(eer) for label, eer in eers.items()}
    last, highest = max(map(len, figures.values())), max(eers.values())
    for label, eer in eers.items():
        bar = BLOCK * round(LONGEST * eer / highest) if highest else ""
        yield f"{label:>{margin}}  {figures[label]:>{last}}  {bar}".rstrip()
