"""Read the index of shards that `mrlspk data pack` wrote, from a folder or a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.recipes import read_rows
from mrlspk.data.remote import MissingError, as_url, read_whole
from mrlspk.errors import DataError
from mrlspk.reading import is_file, is_folder

STATE = ".packing"  # in the folder of the shards, until the index is written
PLAN = "plan.json"  # in that: there once packing has begun
PARQUET, JSON_LINES = INDEXES = "index.parquet", "index.jsonl"
SUFFIXES = ".parquet", ".jsonl", ".jsonl.gz"


def index_name() -> str:
    """Return the name of a new index: Parquet if pyarrow is installed."""
    return PARQUET if find_spec("pyarrow") else JSON_LINES


def is_shards(path: Path) -> bool:
    """Return whether ``path`` is a folder of shards, finished or not, or a URL, which can be nothing else."""
    if as_url(path) is not None:
        return True
    return is_folder(path / STATE, DataError) or any(is_file(path / name, DataError) for name in INDEXES)


def read_shards(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a folder of shards, or of the URL of one or of its index.

    Raises:
        DataError: If there is no index, it cannot be read, or packing was stopped before it was written.
        DownloadError: If the server of a URL cannot be reached.
        MissingDependencyError: If the package that reads the index or the URL is not installed.
    """
    url = as_url(path)
    if url is not None:
        with _fetched(url) as (index, folder):
            yield from (row.utterance(folder) for row in read_rows(index))
        return
    found = next((path / name for name in INDEXES if is_file(path / name, DataError)), None)
    if found is None or is_file(path / STATE / PLAN, DataError):
        fix = "Start the same `mrlspk data pack` again: it goes on where it stopped."
        raise DataError("the shards are not complete: packing was stopped", path, fix)
    yield from (row.utterance(f"{path}/") for row in read_rows(found))


@contextmanager
def _fetched(url: str) -> Iterator[tuple[Path, str]]:
    """Yield a copy of the index at a URL, and the URL of its folder."""
    names_index = url.partition("?")[0].endswith(SUFFIXES)
    folder = url.partition("?")[0].rpartition("/")[0] if names_index else url.rstrip("/")
    candidates = [url] if names_index else [f"{folder}/{name}" for name in INDEXES]
    with TemporaryDirectory() as copies:
        for number, candidate in enumerate(candidates, start=1):
            copy = Path(copies) / candidate.partition("?")[0].rpartition("/")[2]
            try:
                copy.write_bytes(read_whole(candidate))
            except MissingError:
                if number < len(candidates):
                    continue
                raise
            yield copy, f"{folder}/"
            return
