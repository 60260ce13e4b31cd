"""What every format of trial lists is read to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ParsedTrials:
    """The content of a list, named as in `Trials`."""

    enroll_ids: Sequence[str]
    test_ids: Sequence[str]
    is_target: NDArray[np.bool_]
    enrolments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    speaker_by_id: Mapping[str, str] = field(default_factory=dict)
