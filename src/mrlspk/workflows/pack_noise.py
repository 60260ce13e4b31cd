"""Pack recordings of noise, music, talkers or room responses into one file."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.augmentation.build import list_recordings
from mrlspk.data.augmentation.categories import musan_category, room_category
from mrlspk.data.augmentation.packed import PackedWriter
from mrlspk.data.augmentation.recordings import FolderRecordings
from mrlspk.errors import DataError, UsageError
from mrlspk.files import OnProgress, whole_file

SHOWN = 5  # unreadable recordings named in a message


@dataclass(frozen=True)
class PackedNoise:
    """A packed file.

    Attributes:
        path: The file.
        n_recordings: In it.
        seconds: Of all channels.
        n_bytes: Its size.
        noises: Recordings of each of MUSAN's categories.
        rooms: Recordings of each kind of room response.
    """

    path: Path
    n_recordings: int
    seconds: float
    n_bytes: int
    noises: dict[str, int]
    rooms: dict[str, int]


def pack_noise(
    folders: Sequence[Path], output: Path, *, force: bool = False, on_progress: OnProgress | None = None
) -> PackedNoise:
    """Write all recordings of some folders, or nothing.

    Args:
        folders: Their names begin the names of the recordings, which tell the category.
        output: The file.
        force: Replace a file that is there.
        on_progress: Called with (recordings packed, recordings).

    Raises:
        DataError: If a folder is absent or empty, or a recording cannot be read.
        MrlspkError: If the file cannot be written.
        UsageError: If two folders have one name.
    """
    parts = [list_recordings(folder) for folder in folders]
    names = [name for part in parts for name in part.names]
    if len(set(names)) < len(names):
        raise UsageError("two folders of one name", "FOLDER", "Name the folder that both are in.")
    with whole_file(output, force=force) as partial, closing(PackedWriter(partial, names)) as writer:
        n_samples = _write(writer, parts, on_progress=on_progress)
    return PackedNoise(
        path=output,
        n_recordings=len(names),
        seconds=n_samples / SAMPLE_RATE,
        n_bytes=output.stat().st_size,
        noises=dict(Counter(map(musan_category, names))),
        rooms=dict(Counter(kind for kind in map(room_category, names) if kind is not None)),
    )


def _write(writer: PackedWriter, parts: Sequence[FolderRecordings], *, on_progress: OnProgress | None) -> int:
    """Write the recordings of all parts; return the number of samples.

    Raises:
        DataError: If some cannot be read.
    """
    total, n_done = len(writer.names), 0
    faults: list[DataError] = []
    for part in parts:
        for index in range(len(part.names)):
            try:
                channels = part.channels(index)
                if not faults:
                    writer.add(channels)
            except DataError as fault:
                faults.append(fault)
            n_done += 1
            if on_progress:
                on_progress(n_done, total)
    if faults:
        told = "\n".join(f"{fault.where}: {fault.what}" for fault in faults[:SHOWN])
        more = f"\nand {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        what = f"{len(faults)} of {total} recordings cannot be read; nothing is written\n{told}{more}"
        raise DataError(what, fix="Mend the files or take them out of the folder.")
    return writer.finish()
