"""Load batches in a decoding process, and end it with its owner."""

import os
import signal
import threading
from typing import Any

from torch.utils.data import Dataset, default_collate, get_worker_info

from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.errors import MrlspkError

CHECK_SECONDS = 1.0  # between two looks at the parent
MORE_ROOM = (
    "Lower data.num_workers or data.prefetch_factor, or enlarge /dev/shm (in a container: --shm-size) and the limit of "
    "open files (ulimit -n)."
)


class Batches(Dataset[Any]):
    """Load whole batches; return an error that a user can mend, because torch would only bring its text.

    Args:
        dataset: The samples.
        reading: Where each worker notes what it reads.
    """

    def __init__(self, dataset: CropDataset, reading: Any) -> None:
        self._dataset, self._reading = dataset, reading

    def __getitem__(self, keys: list[SampleKey]) -> Any:
        """Return crops (batch, samples), classes (batch,) and extras, with what was unreadable; or an error."""
        info = get_worker_info()
        number, samples = info.id if info else 0, []
        try:
            for key in keys:
                self._reading[number] = key.index + 1
                samples.append(self._dataset[key])
        except MrlspkError as error:
            return error
        finally:
            self._reading[number] = 0
            unreadable = self._dataset.take_unreadable()
        try:
            return tuple(default_collate(samples)), unreadable
        except (RuntimeError, OSError) as error:
            return no_room(error)


def no_room(error: Exception) -> MrlspkError:
    """Return the error for a batch that one process could not pass to another, which is usually a lack of room."""
    return MrlspkError(f"the decoding processes failed: {error}", "data.num_workers", MORE_ROOM)


def begin_worker(owner: int, _number: int) -> None:
    """Leave signals to all processes of a run to the owner of this one, which ends it with SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_for, args=(owner, os.getppid()), name="sigterm", daemon=True).start()


def _end_for(owner: int, parent: int) -> None:
    """End this process, even if it hangs, at SIGTERM of its owner or when its parent is gone.

    The parent may be a fork server, which ends with the owner.
    """
    while os.getppid() == parent:
        found = signal.sigtimedwait({signal.SIGTERM}, CHECK_SECONDS)
        if found is not None and found.si_pid == owner:
            break
    os._exit(1)
