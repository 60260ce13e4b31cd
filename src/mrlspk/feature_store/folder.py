"""The folder of a store before vectors are put into it: locked, with the right key, its shards checked, with room."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.key import KEY_FILE, Key, read_key, write_key
from mrlspk.feature_store.layout import Layout, Shard
from mrlspk.feature_store.shards import ShardState, inspect_shard
from mrlspk.files import one_at_a_time

log = logging.getLogger("mrlspk.training")

UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def lock_store(folder: Path) -> AbstractContextManager[None]:
    """Return the lock of a store; the lock files are in a folder beside the stores."""
    return one_at_a_time(
        folder.parent / ".locks" / f"{folder.name}.lock",
        on_wait=lambda: log.warning("waiting for another process that makes %s", folder),
    )


def begin_folder(folder: Path, key: Key) -> None:
    """Leave the folder with its key, and without anything that is not known to be of this key, or was written in part.

    Raises:
        MrlspkError: If it cannot be written.
    """
    try:
        for partial in folder.glob(".*.partial"):  # of a process that was killed: who holds the lock writes alone
            partial.unlink()
        fault = _key_fault(folder, key)
        if fault is None:
            return
        shards = list(folder.glob("shard-*"))
        if shards:
            log.warning("%s: all vectors are made anew", fault)
        for path in shards:
            path.unlink()
    except OSError as error:
        fix = "Give a folder that can be written."
        raise MrlspkError(f"cannot be written: {error.strerror or error}", folder, fix) from error
    write_key(folder, key)


def check_seen(folder: Path) -> None:
    """Refuse a folder that another process has begun, and this one does not see.

    Raises:
        MrlspkError: If it is so.
    """
    if not (folder / KEY_FILE).is_file():
        what = "the first process has begun a store here, and another one does not see it"
        raise MrlspkError(what, folder, "Name in features.folder one that all machines share.")


def _key_fault(folder: Path, key: Key) -> str | None:
    """Return what is wrong with the key of a folder; None where it is this one."""
    try:
        found = read_key(folder)
    except MrlspkError as error:
        return f"{error.where}: {error.what}"
    return None if found == key else f"{folder}: holds another key"


def find_missing(folder: Path, layout: Layout) -> list[Shard]:
    """Return the shards that are to be made: those that have not been, and those that are not what they were."""
    missing = []
    for shard in layout.shards:
        state = inspect_shard(folder, shard, layout=layout)
        if state.is_damage:
            log.warning("%s %s: it is made anew", folder / shard.name, state.value)
        if state is not ShardState.WHOLE:
            missing.append(shard)
    return missing


def check_room(folder: Path, layout: Layout, missing: Sequence[Shard]) -> None:
    """Log what a store takes, and refuse to begin one that the disk has no room for.

    Raises:
        MrlspkError: If it has not.
    """
    needed = sum(layout.file_bytes(len(shard)) for shard in missing)
    log.info(
        "%s: %d vectors of %d %s values, %d bytes (%s) in all; %s to be made",
        folder,
        layout.n_rows,
        layout.n_features,
        layout.dtype,
        layout.nbytes,
        readable(layout.nbytes),
        readable(needed) if needed else "nothing is",
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"needs {readable(needed)}, and {readable(free)} are free: {readable(needed - free)} are missing"
        raise MrlspkError(what, folder, "Make room, take fewer crops or float16, or name a folder on another disk.")


def readable(n_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it, rounded to a tenth."""
    unit = next((unit for unit in ("kB", "MB", "GB") if n_bytes < UNITS[unit] * 1000), "TB")
    return f"{n_bytes / UNITS[unit]:.1f} {unit}"
