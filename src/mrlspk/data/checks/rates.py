"""Find recordings whose sample rate is not that of the corpus."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.problems import Problem, warning

USUAL_SHARE = 0.9  # of the files, at one rate


def check_rates(corpus: str, utterance_ids: Sequence[str], rates: NDArray[np.int32]) -> Iterator[Problem]:
    """Find the files of another rate where nearly all have one, and say so once where there are several.

    Rates below the model's are told of each file anyway, and are left out here.

    Args:
        corpus: Its name.
        utterance_ids: Of all files.
        rates: Sample rate of each in Hz; 0 if it is not known.
    """
    is_told = rates < SAMPLE_RATE
    values, counts = np.unique(rates[~is_told], return_counts=True)
    if len(values) < 2:
        return
    usual = values[counts.argmax()]
    if counts.max() >= USUAL_SHARE * counts.sum():
        for index in np.flatnonzero(~is_told & (rates != usual)):
            message = f"expected {usual} Hz as of nearly all files, got {rates[index]} Hz"
            yield warning("other_rate", utterance_ids[int(index)], message)
        return
    found = ", ".join(f"{count:,} of {value} Hz" for value, count in zip(values, counts, strict=True))
    yield warning("mixed_rates", corpus, f"expected one sample rate, got files {found}")
