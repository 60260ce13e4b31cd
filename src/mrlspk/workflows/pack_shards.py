"""Pack a corpus into shards of WebDataset's format."""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.choices import AUTO
from mrlspk.data.exclude import scan_remaining
from mrlspk.data.manifest import Manifest
from mrlspk.data.processes import default_jobs
from mrlspk.data.remote import as_url, is_url
from mrlspk.data.shards.packing import ShardFolder, write_shards
from mrlspk.data.shards.plan import ShardPlan, plan_shards
from mrlspk.data.shards.sample_keys import sample_keys
from mrlspk.errors import DataError, MrlspkError, UsageError, shorten
from mrlspk.files import OnProgress
from mrlspk.partial_files import write_errors

log = logging.getLogger("mrlspk.data")

SHARD_BYTES = 1 << 30
NAME, NAMES = "shard", r"\w[\w.-]*"


@dataclass(frozen=True)
class PackedShards:
    """Shards that have been written.

    Attributes:
        path: Their folder.
        index: The manifest file in it.
        n_shards: Number of tars.
        n_utterances: In them.
        n_bytes: Of all tars.
        errors: Why utterances are left out, by id.
        n_resumed: Shards that an earlier, stopped pack wrote.
    """

    path: Path
    index: Path
    n_shards: int
    n_utterances: int
    n_bytes: int
    errors: dict[str, str]
    n_resumed: int


def pack_shards(
    corpus: Path,
    output: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    seed: int = 0,
    name: str = NAME,
    recipe: str = AUTO,
    exclude: Sequence[Path] = (),
    jobs: int | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> PackedShards:
    """Write a corpus as tars, and at last an index of them, which every command takes in place of the corpus.

    Args:
        corpus: A folder, manifest file, or whatever a recipe reads.
        output: Folder of the shards. If a pack of the same corpus was stopped there, it goes on.
        shard_bytes: Largest size of a shard; one with a single larger recording is larger.
        seed: Of the order of utterances in the shards.
        name: Beginning of the names of the shards.
        recipe: Of the corpus: auto, a name, or a pattern of paths.
        exclude: Lists of utterances to leave out.
        jobs: Shards written at a time, each by a process; None: one for each processor, up to eight.
        force: Replace shards and indexes that are there.
        on_progress: Called with (utterances packed, utterances).

    Raises:
        UsageError: If the folder is a URL or holds the tars of the corpus, or the name is no beginning of a file name.
        DataError: If the corpus is absent or cannot be used, or none of its recordings can be read.
        MrlspkError: If shards are there, or cannot be written.
    """
    if is_url(output):
        fix = "Pack into a folder, then copy it, e.g. with `aws s3 sync` or rclone."
        raise UsageError("shards are written to a folder of this machine", as_url(output), fix)
    if not re.fullmatch(NAMES, name):
        raise UsageError(f"expected a name of letters, digits, -, _ and ., got {shorten(name)!r}", parameter="name")
    folder = ShardFolder(output, name)
    manifest = scan_remaining(corpus, recipe, exclude)
    _check_elsewhere(output, manifest)
    plan = plan_shards(manifest.utterances, shard_bytes=shard_bytes, seed=seed)
    with write_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    with folder.begun(plan, force=force) as missing:
        _check_room(output, plan, missing)
        n_resumed = len(plan) - len(missing)
        if n_resumed:
            log.warning("%s: %d of %d shards were written before: going on", output, n_resumed, len(plan))
        _write(folder, missing, plan, manifest, jobs=jobs, on_progress=on_progress)
        errors = folder.errors(len(plan))
        if len(errors) == len(manifest.utterances):
            first = next(iter(errors.values()))
            raise DataError(f"no recording can be read; the first: {first}", corpus, "Check the files.")
        index = folder.write_index(len(plan))
        folder.end()
    return PackedShards(
        path=output,
        index=index,
        n_shards=len(plan),
        n_utterances=len(manifest.utterances) - len(errors),
        n_bytes=sum(folder.files(number).tar.stat().st_size for number in range(len(plan))),
        errors=errors,
        n_resumed=n_resumed,
    )


def _write(
    folder: ShardFolder,
    missing: Sequence[int],
    plan: ShardPlan,
    manifest: Manifest,
    *,
    jobs: int | None,
    on_progress: OnProgress | None,
) -> None:
    total = len(manifest.utterances)
    n_done = total - sum(len(plan.members(number)) for number in missing)

    def count(n_samples: int) -> None:
        nonlocal n_done
        n_done += n_samples
        if on_progress:
            on_progress(n_done, total)

    count(0)
    keys = sample_keys(manifest.utterance_ids)
    write_shards(folder, missing, plan, manifest.utterances, keys, jobs=jobs or default_jobs(), on_samples=count)


def _check_elsewhere(output: Path, manifest: Manifest) -> None:
    """Check that no shard of the corpus would be overwritten before it is read.

    Raises:
        UsageError: If its tars are in the folder of the new ones.
    """
    archives = set(manifest.utterances.archives())
    folders = {os.path.realpath(os.path.dirname(each)) for each in archives if each and not is_url(each)}  # noqa: PTH120
    if os.path.realpath(output) in folders:
        raise UsageError("holds the tars of the corpus, which would be overwritten", output, "Give another folder.")


def _check_room(output: Path, plan: ShardPlan, missing: Sequence[int]) -> None:
    """Check that the disk has room for the missing shards.

    Raises:
        MrlspkError: If it does not.
    """
    needed, free = sum(plan.n_bytes[number] for number in missing), shutil.disk_usage(output).free
    if needed > free:
        what = f"{needed / 1e9:,.1f} GB of shards are to be written, and {free / 1e9:,.1f} GB are free"
        raise MrlspkError(what, output, "Make room, or give a folder on another disk.")
