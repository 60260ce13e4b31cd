"""Count the files of a run that cannot be read, over all processes and resumes."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from mrlspk.data.crops.unreadable import REPLACED, check_unreadable
from mrlspk.distributed import shown_by_rank_zero
from mrlspk.errors import DataError
from mrlspk.training.records import Progress
from mrlspk.training.run import Run

log = logging.getLogger("mrlspk.training")


def new_unreadable(run: Run) -> dict[str, str]:
    """Return what this process could not read and the progress does not have yet, by utterance id."""
    known = run.state.progress.unreadable
    return {each: message for each, message in run.unreadable.items() if each not in known}


def with_unreadable(run: Run, new: Mapping[str, str]) -> Progress:
    """Return the progress with the new files of all processes, each of which must call this; warn of each file.

    Raises:
        DataError: If there are more than the configuration allows.
    """
    found = dict(run.state.progress.unreadable)
    for each in run.ranks.all_gather(dict(new)):
        for utterance_id, message in each.items():
            if utterance_id not in found and run.ranks.is_first:
                log.warning(REPLACED, message)
            found[utterance_id] = message
    try:
        check_unreadable(found, run.config.data.max_unreadable)
    except DataError as error:
        raise shown_by_rank_zero(run.ranks, error) from error
    return replace(run.state.progress, unreadable=found)
