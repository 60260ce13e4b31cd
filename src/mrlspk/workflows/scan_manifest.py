"""Scan a corpus once, and write what its headers state to a manifest file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.choices import AUTO
from mrlspk.data.corpora.recipe_registry import list_corpus
from mrlspk.data.exclude import leave_out
from mrlspk.data.left_out import LeftOut
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.facts import READ, RESUMED, UNCHANGED
from mrlspk.data.manifest_files.formats import Format, format_of, write_rows
from mrlspk.data.manifest_files.journal import Journal
from mrlspk.data.manifest_files.recipes import kind_of, read_rows
from mrlspk.data.manifest_files.rows import ManifestRow, folder_prefix, place_of, relative_to
from mrlspk.data.manifest_files.scanning import Scan, known_by_id
from mrlspk.data.processes import default_jobs
from mrlspk.data.utterance_ids import RENAME, name_fault, printable
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.files import Claim, OnProgress, claimed_file, whole_folder
from mrlspk.workflows.unchanged_tree import find_unchanged

ABSOLUTE = "\0"  # no path begins with it: all are absolute


@dataclass(frozen=True)
class ScanReport:
    """What a scan found.

    Attributes:
        path: The manifest file.
        format: Of it.
        corpus: What was scanned.
        utterances: In the manifest file.
        speakers: Of them.
        seconds: Length of them.
        read: Utterances whose files were read.
        unchanged: Utterances whose files had not changed since the earlier scan.
        resumed: Utterances that a killed scan had read.
        errors: Why an utterance is not in the manifest file, by id.
        left_out: What is in the corpus and is not used.
    """

    path: Path
    format: Format
    corpus: Path
    utterances: int
    speakers: int
    seconds: float
    read: int
    unchanged: int
    resumed: int
    errors: Mapping[str, str]
    left_out: tuple[LeftOut, ...]


def scan_manifest(
    corpus: Path,
    path: Path,
    *,
    form: Format | None = None,
    recipe: str = AUTO,
    exclude: Sequence[Path] = (),
    update: bool = False,
    force: bool = False,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> ScanReport:
    """Read all headers of a corpus, and write a manifest file.

    A scan that is killed leaves ``F.partial``; the same call goes on from there.

    Args:
        corpus: A folder or another manifest file.
        path: The manifest file.
        form: Of it; None: by its suffix.
        recipe: Of the corpus, as `scan_corpus` takes it.
        exclude: Lists of utterances to leave out.
        update: Read only files whose size or time of change differ from those in the manifest file, if it exists.
        force: Overwrite the manifest file.
        jobs: Processes; None: one for each processor, up to eight.
        on_progress: Called with (utterances done, utterances).

    Raises:
        DataError: If the corpus is absent or cannot be used, or none of its files can be read.
        UsageError: If the format is not known, cannot be updated, or has no entry for an utterance, or if the manifest
            file to update is of another corpus.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
        MrlspkError: If the file exists and is not to be overwritten or updated, or cannot be written.
    """
    form = form or format_of(path)
    if path.exists() and not (update or force):
        raise MrlspkError("exists", path, "`update` reads what has changed, `force` all; or give another name.")
    earlier = _check_update(path, form) if update and path.exists() else None
    if earlier is not None and not exclude and (found := find_unchanged(corpus, earlier, recipe)) is not None:
        counts = found.utterances, found.speakers, found.seconds
        return ScanReport(path, form, corpus, *counts, 0, found.utterances, 0, {}, found.left_out)
    (manifest,) = leave_out([list_corpus(corpus, recipe)], exclude)
    faults = {each: fault for each in manifest.utterance_ids if (fault := name_fault(each))}
    manifest = manifest.without_utterances(faults)
    known = known_by_id(read_rows(earlier)) if earlier is not None else {}
    if known and not any(_is_same_file(each, known, _prefix(path, form)) for each in manifest.utterances):
        fix = "It is of another corpus: give another name, or `force` in place of `update`."
        raise UsageError(f"has no file of {corpus}", path, fix, parameter="update")
    with claimed_file(_journal_of(path, form), force=force or earlier is not None, take_up=True) as claim:
        claim.keep_rows()
        with closing(Journal(claim.rows, _name_of(corpus, recipe))) as journal:
            scan = Scan(manifest.utterances, _prefix(path, form), known, known_by_id(journal.entries()))
            scan.read(jobs=jobs or default_jobs(), on_line=journal.add, on_progress=on_progress)
        errors = {printable(each): f"{fault}. {RENAME}" for each, fault in faults.items()} | scan.errors
        n_read, n_unchanged, n_resumed = map(scan.count, (READ, UNCHANGED, RESUMED))
        if not (n_read or n_unchanged or n_resumed):
            first = next(iter(errors.values()))
            claim.drop_rows()
            raise DataError(f"no file can be read; the first: {first}", corpus, "Check the files.")
        _write(claim, path, form, scan.rows(), force=force or earlier is not None)
    return ScanReport(
        path,
        form,
        corpus,
        n_read + n_unchanged + n_resumed,
        scan.n_speakers,
        scan.seconds,
        n_read,
        n_unchanged,
        n_resumed,
        errors,
        manifest.left_out,
    )


def _is_same_file(utterance: Utterance, known: Mapping[str, ManifestRow], prefix: str) -> bool:
    """Return whether the earlier scan had the file of an utterance under the same id."""
    row = known.get(utterance.utterance_id)
    return row is not None and row.path == relative_to(place_of(utterance.source).path, prefix)


def _check_update(path: Path, form: Format) -> Path:
    if form not in {"parquet", "jsonl"}:
        what = f"{form} does not hold the times of files"
        raise UsageError(what, path, "Scan again with `force`, or keep a .parquet file.", parameter="update")
    if kind_of(path) not in {"parquet", "jsonl"}:
        raise DataError("expected a manifest file of mrlspk", path, "Give another name, or `force` without `update`.")
    return path


def _journal_of(path: Path, form: Format) -> Path:
    """Return the file whose partial holds the rows: a Kaldi data directory has none beside it."""
    return path.with_name(f"{path.name}.scan") if form == "kaldi" else path


def _name_of(corpus: Path, recipe: str) -> str:
    return f"{recipe} {corpus.absolute()}"


def _prefix(path: Path, form: Format) -> str:
    return ABSOLUTE if form == "kaldi" else folder_prefix(path)


def _write(claim: Claim, path: Path, form: Format, rows: Iterator[ManifestRow], *, force: bool) -> None:
    """Write the rows, and remove those in the journal.

    Raises:
        MrlspkError: If that fails; the journal is kept.
    """
    if form == "kaldi":
        with whole_folder(path, force=force) as folder:
            write_rows(folder, form, rows)
        claim.drop_rows()
        return
    with claim.writing_from_rows() as whole:
        write_rows(whole, form, rows)
