"""Embed audio files, folders and lists of paths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrlspk.config import Config
from mrlspk.data.audio.source import as_source
from mrlspk.data.left_out import LeftOut
from mrlspk.data.utterance_ids import printable
from mrlspk.files import OnProgress
from mrlspk.inference.backend import check_dims
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_recordings, unit_prefix
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.workflows.embed_inputs import find_inputs


@dataclass(frozen=True)
class EmbedReport:
    """Embeddings of files.

    Attributes:
        model: Path of the model file.
        fingerprint: Of the model.
        dim: Width of the embeddings.
        embeddings: By id, in input order; their vectors are (dim,) at unit length.
        errors: Why a file has no embedding, by id.
        left_out: Audio in folders that is not embedded.
    """

    model: str
    fingerprint: str
    dim: int
    embeddings: dict[str, EmbeddedRecording]
    errors: dict[str, str]
    left_out: tuple[LeftOut, ...] = ()


def embed(
    model: ModelFile,
    inputs: Sequence[str],
    *,
    config: Config | None = None,
    dim: int | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
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
    found_inputs = find_inputs(inputs)
    backend = load_backend(model, device=device).backend
    width = check_dims(backend.dims, None if dim is None else (dim,), allow_untrained=allow_untrained_dim)[-1]
    settings = (config or Config()).evaluation
    recordings = {file_id: Recording(as_source(path)) for file_id, path in found_inputs.files.items()}
    found = embed_recordings(
        backend,
        recordings.values(),
        batch_size=batch_size or settings.batch_size,
        max_seconds=settings.max_seconds,
        on_progress=on_progress,
    )
    failed = {file_id: found.errors[each] for file_id, each in recordings.items() if each in found.errors}
    embedded = {file_id: found.embeddings[each] for file_id, each in recordings.items() if each in found.embeddings}
    return EmbedReport(
        model=str(model.path),
        fingerprint=backend.fingerprint,
        dim=width,
        embeddings={id: replace(each, vector=unit_prefix(each.vector, width)) for id, each in embedded.items()},
        errors={printable(file_id): printable(message) for file_id, message in (found_inputs.errors | failed).items()},
        left_out=found_inputs.left_out,
    )
