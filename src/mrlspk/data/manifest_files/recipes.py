"""Recipes that read manifest files in place of a folder: ours, NeMo's, Kaldi's and lhotse's."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.manifest_files.json_rows import first_record, read_records
from mrlspk.data.manifest_files.kaldi import kaldi_folder, read_kaldi
from mrlspk.data.manifest_files.lhotse import is_lhotse, read_lhotse
from mrlspk.data.manifest_files.nemo import is_nemo, read_nemo
from mrlspk.data.manifest_files.parquet_rows import describe_parquet, read_parquet_rows, recognises_parquet
from mrlspk.data.manifest_files.rows import REQUIRED, ManifestRow, folder_prefix, row_of
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError, shorten
from mrlspk.reading import is_file, reading

PARQUET, JSON_LINES, JSON = ".parquet", (".jsonl", ".jsonl.gz"), ".json"

type Kind = Literal["parquet", "jsonl", "nemo", "kaldi", "lhotse"]


class ManifestFile:
    """The recipe of a manifest file; utterances have the ids that it states.

    Args:
        name: For ``--corpus``.
        layout: For messages.
        kinds: That it reads.
    """

    def __init__(self, name: str, layout: str, kinds: frozenset[Kind]) -> None:
        self.name, self.layout, self._kinds = name, layout, kinds

    def recognises(self, path: Path) -> bool:
        """Return whether the first line or the columns are of this form."""
        return kind_of(path) in self._kinds

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the utterances without opening audio.

        Raises:
            DataError: If the file cannot be read, or an utterance has no speaker.
        """
        if kind_of(path) not in self._kinds:
            raise _not_read(path, self.layout)
        left_out: list[str] = []
        found = UtteranceTable.of(_with_speakers(read_utterances(path, left_out), path))
        return CorpusListing(found, left_out=tuple(left_out))


MANIFEST_FILES = (
    ManifestFile("manifest", "a manifest file of mrlspk", frozenset({"parquet", "jsonl"})),
    ManifestFile("nemo", "a manifest of NeMo", frozenset({"nemo"})),
    ManifestFile("lhotse", "cuts or recordings of lhotse", frozenset({"lhotse"})),
    ManifestFile("kaldi", "a Kaldi data directory with wav.scp and utt2spk", frozenset({"kaldi"})),
)


def is_named_manifest(path: Path) -> bool:
    """Return whether a path that is no folder has the name of a manifest file."""
    return path.name.endswith((PARQUET, JSON, *JSON_LINES)) and not path.is_dir()


def _not_read(path: Path, layout: str) -> DataError:
    """Return the error for a path that is not what a recipe reads.

    Raises:
        DataError: If it is a file that cannot be read, or whose first line is no JSON object.
    """
    fix = "Check the path, or write it again with `mrlspk data scan`."
    if not is_named_manifest(path):
        return DataError(f"expected {layout}", path, "Check the path.")
    if not is_file(path, DataError):
        return DataError(f"expected {layout}, got no such file", path, "Check the path.")
    if path.suffix == PARQUET:
        return DataError(f"expected {layout}, got {describe_parquet(path)}", path, fix)
    where, record = next(read_records(path), (path, {}))
    found = f"the keys {', '.join(map(repr, record))}" if record else "no line"
    return DataError(f"expected {layout}, got {shorten(found)}", where, fix)


def kind_of(path: Path) -> Kind | None:
    """Return what kind of manifest file ``path`` is; None if it is none.

    Raises:
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    try:
        if kaldi_folder(path) is not None:
            return "kaldi"
        if not is_named_manifest(path) or not is_file(path, DataError):
            return None
        with reading(path, DataError):
            if path.suffix == PARQUET:
                return "parquet" if recognises_parquet(path) else None
            state = path.stat()
    except DataError:
        return None
    return _kind_of_lines(path, state.st_size, state.st_mtime_ns)


@cache
def _kind_of_lines(path: Path, size: int, changed_ns: int) -> Kind | None:  # noqa: ARG001 - of the key
    first = first_record(path)
    if is_nemo(first):
        return "nemo"
    if is_lhotse(first):
        return "lhotse"
    return "jsonl" if all(isinstance(first.get(name), str) for name in REQUIRED) else None


def read_utterances(path: Path, left_out: list[str] | None = None) -> Iterator[Utterance]:
    """Yield the utterances of a manifest file, in its order; a speaker that is not known is empty.

    Args:
        path: A file that `kind_of` knows.
        left_out: Gets the ids of what has several speakers.

    Raises:
        DataError: If the file cannot be read.
    """
    kind = kind_of(path)
    if kind == "nemo":
        yield from read_nemo(path)
    elif kind == "kaldi":
        yield from read_kaldi(kaldi_folder(path) or path)
    elif kind == "lhotse":
        for utterance, utterance_id in read_lhotse(path):
            if utterance is not None:
                yield utterance
            elif left_out is not None:
                left_out.append(utterance_id)
    else:
        prefix = folder_prefix(path)
        for row in read_rows(path):
            yield row.utterance(prefix)


def read_rows(path: Path) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest file of ours.

    Raises:
        DataError: If it cannot be read.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    if path.suffix == PARQUET:
        yield from read_parquet_rows(path)
    else:
        for where, record in read_records(path):
            yield row_of(record, where)


def _with_speakers(utterances: Iterable[Utterance], path: Path) -> Iterator[Utterance]:
    for utterance in utterances:
        if not utterance.speaker_id:
            fix = "Add the speaker to each line: 'label' or 'speaker' in a manifest of NeMo."
            raise DataError(f"{utterance.utterance_id} has no speaker", path, fix)
        yield utterance
