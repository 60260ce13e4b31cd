"""Embed audio files, folders and lists of paths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio.source import as_source
from mrlspk.data.corpora.folder_tree import list_audio
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, UsageError
from mrlspk.inference.backend import check_dims
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_recordings, unit_prefix
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.reading import LARGEST_LIST, read_text, reading


@dataclass(frozen=True)
class EmbedReport:
    """Embeddings of files.

    Attributes:
        model: Path of the model file.
        fingerprint: Of the model.
        dim: Width of the embeddings.
        embeddings: By id, in input order; their vectors are (dim,) at unit length.
        errors: Why a file has no embedding, by id.
    """

    model: str
    fingerprint: str
    dim: int
    embeddings: dict[str, EmbeddedRecording]
    errors: dict[str, str]


def embed(
    model: ModelFile,
    inputs: Sequence[str],
    *,
    config: Config | None = None,
    dim: int | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EmbedReport:
    """Embed files, folders and lists of paths.

    Args:
        model: Model file.
        inputs: Audio files, folders (searched at any depth) and ``.txt`` lists of audio files, one path per line.
        config: Its ``evaluation`` section is used.
        dim: Width; the full one by default.
        allow_untrained_dim: Take a width that the model was not trained for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: Files of equal length embedded together; None: that of ``config``.
        on_progress: Called with (files done, all files).

    Raises:
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If the model has no such width, or if two inputs have the same id.
    """
    files, errors = find_inputs(inputs)
    backend = load_backend(model, device=device).backend
    width = check_dims(backend.dims, None if dim is None else (dim,), allow_untrained=allow_untrained_dim)[-1]
    settings = (config or Config()).evaluation
    recordings = {file_id: Recording(as_source(path)) for file_id, path in files.items()}
    found = embed_recordings(
        backend,
        recordings.values(),
        batch_size=batch_size or settings.batch_size,
        max_seconds=settings.max_seconds,
        on_progress=on_progress,
    )
    errors |= {file_id: found.errors[each] for file_id, each in recordings.items() if each in found.errors}
    embedded = {file_id: found.embeddings[each] for file_id, each in recordings.items() if each in found.embeddings}
    return EmbedReport(
        model=str(model.path),
        fingerprint=backend.fingerprint,
        dim=width,
        embeddings={id: replace(each, vector=unit_prefix(each.vector, width)) for id, each in embedded.items()},
        errors={printable(file_id): printable(message) for file_id, message in errors.items()},
    )


def find_inputs(inputs: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return audio files by id, and the errors of unusable inputs among several, by input.

    The id of a file is its path as typed; the id of a file in a folder is its path relative to the folder.

    Raises:
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If two files have the same id.
    """
    files: dict[str, Path] = {}
    errors: dict[str, str] = {}
    for typed in inputs:
        try:
            found = _expand(typed)
        except DataError as error:
            if len(inputs) == 1:
                raise
            errors[typed] = str(error)
            continue
        for file_id, path in found:
            if file_id in files:
                raise UsageError(
                    f"{files[file_id]} and {path} would have the same id",
                    file_id,
                    "Give each file once; embed folders with equal contents one at a time.",
                )
            files[file_id] = path
    if not (files or errors):
        raise DataError("no audio is named", fix="Give files or folders, or a list or stdin with one path per line.")
    return files, errors


def _expand(typed: str) -> list[tuple[str, Path]]:
    path = Path(typed)
    with reading(path, DataError, "Check the path."):
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise DataError("no such file or folder", typed, "Check the path.")
    return _listed(path) if path.suffix.lower() == ".txt" else [(typed, path)]


def _listed(path: Path) -> list[tuple[str, Path]]:
    text = read_text(path, DataError, "Save the list as UTF-8, one path per line.", most_bytes=LARGEST_LIST)
    lines = list(filter(None, map(str.strip, text.splitlines())))
    if not lines:
        raise DataError("names no audio", path, "Write one path per line.")
    return [(line, Path(line)) for line in lines]


def _folder(folder: Path) -> list[tuple[str, Path]]:
    found = sorted(list_audio(folder), key=lambda file_id: file_id.split("/"))
    if not found:
        raise DataError(
            "no audio in this folder",
            folder,
            f"Give a folder with {', '.join(sorted(AUDIO_SUFFIXES))} files at any depth.",
        )
    return [(file_id, folder / file_id) for file_id in found]
