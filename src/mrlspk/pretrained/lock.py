"""One process at a time for each fetched file."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.files import locked
from mrlspk.pretrained.records import OTHER_FOLDER

logger = logging.getLogger("mrlspk.pretrained")


@contextmanager
def one_at_a_time(path: Path, cache_dir: Path) -> Iterator[None]:
    """Hold the lock of ``path`` in the block, once no other process does; the lock files are in a folder of their own.

    Raises:
        DownloadError: If the folders of ``path`` and of the lock cannot be made.
    """
    file = cache_dir / ".locks" / "-".join((*path.relative_to(cache_dir).parts[:-1], f"{path.name}.lock"))
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            wait = "waiting for another process that fetches %s"
            stack.enter_context(locked(file, on_wait=lambda: logger.warning(wait, path)))
        except OSError as error:
            raise DownloadError(f"cannot be locked: {error.strerror or error}", path, OTHER_FOLDER) from error
        yield
