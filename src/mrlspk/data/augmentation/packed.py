"""Recordings packed into one file, which is memory-mapped: a crop costs no more than its bytes.

The file is in the format of safetensors. Its tensors are ``samples``: all recordings at 16 kHz as int16, one channel
after the other, and by recording ``starts`` and ``lengths`` in samples, ``channels`` and ``scales``, which turn samples
into numbers in [-1, 1]; ``names`` has their paths in UTF-8, one a line.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.audio.source import AudioSource, FileSource
from mrlspk.data.augmentation.effects import Samples
from mrlspk.errors import DataError
from mrlspk.reading import reading

TYPES = {"I16": "<i2", "I64": "<i8", "F32": "<f4", "U8": "u1"}
LAYOUT = {"names": "U8", "starts": "I64", "lengths": "I64", "channels": "I64", "scales": "F32", "samples": "I16"}
FORMAT = "mrlspk recordings 1"
FULL_SCALE = 32_768
LARGEST_HEADER = 1 << 20
SIZE_BYTES = 8
_FIX = "Pack the recordings again with `mrlspk data pack-noise`, or name a folder of audio."


@dataclass(frozen=True)
class PackedIndex:
    """Where the recordings of a packed file are; arrays are (recordings,).

    Attributes:
        names: Path of each.
        starts: First sample of each.
        lengths: Samples per channel of each.
        channels: Channels of each.
        scales: Of one step of each.
    """

    names: tuple[str, ...]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    channels: NDArray[np.int64]
    scales: NDArray[np.float32]


class PackedRecordings:
    """Recordings of a packed file.

    Raises:
        DataError: If it cannot be read, or is not such a file as a whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        header, begin = _read_header(path)
        arrays = {name: _map(path, header, begin, name) for name in LAYOUT}
        names = tuple(bytes(arrays["names"]).decode().split("\n"))
        self._index = PackedIndex(names, *(np.array(arrays[name]) for name in [*LAYOUT][1:-1]))
        self._samples: NDArray[np.int16] | None = arrays["samples"]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_samples": None}  # a pickled map would hold all samples

    @property
    def names(self) -> Sequence[str]:
        """Path of each, from the name of its folder on."""
        return self._index.names

    def crop(self, index: int, n_samples: int, rng: np.random.Generator) -> Samples:
        """Return (n_samples,) from a random place of the average of all channels; a shorter recording is repeated."""
        length, place = int(self._index.lengths[index]), rng.random()
        start = int(place * max(length - n_samples + 1, 0))
        n_channels = int(self._index.channels[index])
        parts = [self._read(index, number, start, start + n_samples) for number in range(n_channels)]
        part: Samples = parts[0] if n_channels == 1 else np.mean(parts, axis=0, dtype=np.float32)
        return part if len(part) == n_samples else np.resize(part, n_samples)

    def channel(self, index: int, rng: np.random.Generator) -> Samples:
        """Return one whole channel, drawn if there are several."""
        n_channels = int(self._index.channels[index])
        number = int(rng.integers(n_channels)) if n_channels > 1 else 0
        return self._read(index, number, 0, int(self._index.lengths[index]))

    def listing(self) -> Iterator[tuple[str, AudioSource]]:
        """Yield name and length of each recording, with the whole file as its source."""
        source = FileSource(str(self._path))
        for name, length in zip(self.names, self._index.lengths, strict=True):
            yield f"{name}:{length}", source

    def _read(self, index: int, number: int, start: int, stop: int) -> Samples:
        """Return a part of a channel."""
        if self._samples is None:
            header, begin = _read_header(self._path)
            self._samples = _map(self._path, header, begin, "samples")
        length = int(self._index.lengths[index])
        begin = int(self._index.starts[index]) + number * length
        part: Samples = self._samples[begin + start : begin + min(stop, length)] * self._index.scales[index]
        return part


@dataclass
class PackedWriter:
    """Writes a packed file: the recordings in the order of their names, then `finish`.

    Args:
        path: Empty file to write.
        names: Path of each recording.
    """

    path: Path
    names: Sequence[str]
    _n_samples: int = field(default=0, init=False)
    _rows: list[tuple[int, int, int, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._file = self.path.open("rb+")
        self._file.seek(self._begin_of_samples())

    def add(self, channels: Sequence[Samples]) -> None:
        """Write the channels, of one length, of the next recording."""
        step = 1 / FULL_SCALE
        samples = np.stack(channels)
        if not _is_whole(samples / step):
            step = float(np.abs(samples).max()) / (FULL_SCALE - 1)
        self._file.write(np.round(samples / step).astype("<i2").tobytes())
        self._rows.append((self._n_samples, samples.shape[1], len(channels), step))
        self._n_samples += samples.size

    def finish(self) -> int:
        """Write header and index, and return the number of samples."""
        starts, lengths, channels, scales = zip(*self._rows, strict=True)
        header = self._header(self._n_samples)
        self._file.seek(0)
        self._file.write(len(header).to_bytes(SIZE_BYTES, "little") + header + _as_bytes(self.names))
        for values, type_ in ((starts, "I64"), (lengths, "I64"), (channels, "I64"), (scales, "F32")):
            self._file.write(np.array(values, TYPES[type_]).tobytes())
        self.close()
        return self._n_samples

    def close(self) -> None:
        """Close the file; without `finish` it is of no use."""
        self._file.close()

    def _header(self, n_samples: int) -> bytes:
        """Return the header, of the same size for any number of samples."""
        counts = dict.fromkeys(LAYOUT, len(self.names)) | {"names": len(_as_bytes(self.names)), "samples": n_samples}
        entries: dict[str, Any] = {"__metadata__": {"format": FORMAT, "sample_rate": str(SAMPLE_RATE)}}
        at = 0
        for name, type_ in LAYOUT.items():
            end = at + counts[name] * np.dtype(TYPES[type_]).itemsize
            entries[name] = {"dtype": type_, "shape": [counts[name]], "data_offsets": [at, end]}
            at = end
        text = json.dumps(entries, separators=(",", ":")).encode()
        return text.ljust(len(text) + 40 - len(str(n_samples)) - len(str(at)))

    def _begin_of_samples(self) -> int:
        index_bytes = sum(np.dtype(TYPES[LAYOUT[name]]).itemsize for name in [*LAYOUT][1:-1]) * len(self.names)
        return SIZE_BYTES + len(self._header(0)) + len(_as_bytes(self.names)) + index_bytes


def _is_whole(values: Samples) -> bool:
    """Return whether samples of 16 bits hold the values as they are."""
    return bool((values == np.round(values)).all() and (values >= -FULL_SCALE).all() and (values < FULL_SCALE).all())


def _as_bytes(names: Sequence[str]) -> bytes:
    return "\n".join(names).encode()


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a packed file, and where its tensors begin.

    Raises:
        DataError: If it is not such a file as a whole.
    """
    with reading(path, DataError, _FIX):
        size = path.stat().st_size
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(SIZE_BYTES), "little")
            text = file.read(n_header) if n_header <= LARGEST_HEADER else b""
    try:
        header = json.loads(text)
        is_ours = header["__metadata__"]["format"] == FORMAT
        end = SIZE_BYTES + n_header + header["samples"]["data_offsets"][1]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("expected packed recordings or a folder, got another file", path, _FIX) from error
    if not is_ours:
        raise DataError(f"expected {FORMAT!r}, got packed recordings of another format", path, _FIX)
    if size != end:
        raise DataError(f"cut short: expected {end} bytes, got {size}", path, _FIX)
    return header, SIZE_BYTES + n_header


def _map(path: Path, header: dict[str, Any], begin: int, name: str) -> NDArray[Any]:
    """Return a tensor of the file, memory-mapped."""
    entry = header[name]
    offset, count = begin + entry["data_offsets"][0], entry["shape"][0]
    return np.memmap(path, np.dtype(TYPES[entry["dtype"]]), "r", offset=offset, shape=(count,))
