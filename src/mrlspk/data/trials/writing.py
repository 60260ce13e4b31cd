"""Trial lists written, in VoxCeleb's format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials.trials import Trials
from mrlspk.data.utterance_ids import check_name
from mrlspk.errors import DataError
from mrlspk.files import whole_file


def format_trials(enroll_ids: Sequence[str], test_ids: Sequence[str], is_target: NDArray[np.bool_]) -> str:
    """Return the text of a trial list.

    Raises:
        DataError: If an utterance has a name that no list can hold.
    """
    for utterance_id in {*enroll_ids, *test_ids}:
        check_name(utterance_id)
    rows = zip(is_target, enroll_ids, test_ids, strict=True)
    return "".join(f"{int(target)} {enroll_id} {test_id}\n" for target, enroll_id, test_id in rows)


def write_trials(trials: Trials, path: Path) -> None:
    """Write so that ``path`` holds the old file or the whole new one, never a part.

    Raises:
        DataError: If the trials have enrolment models, which the format cannot hold, or a name that it cannot hold.
    """
    if not trials.enrolments.keys().isdisjoint(trials.enroll_ids):
        raise DataError("a list in VoxCeleb's format cannot hold enrolment models of several utterances", trials.path)
    with whole_file(path) as partial:
        partial.write_text(format_trials(trials.enroll_ids, trials.test_ids, trials.is_target), newline="\n")
