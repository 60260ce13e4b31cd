"""Fit a transform to the embeddings of any model, so that both together are a Matryoshka model."""

import os
from dataclasses import replace
from pathlib import Path

from mrlspk.config.architecture import BaseFile
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.exclude import scan_remaining
from mrlspk.errors import UsageError
from mrlspk.evaluation.embedder import build_embedder
from mrlspk.files import OnProgress, check_free, file_sha256
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import Recording
from mrlspk.rotation.folds import draw_utterances, with_speaker
from mrlspk.rotation.transform_file import check_transform_suffix, save_transform
from mrlspk.workflows.rotate import RotateRequest, choose_dims
from mrlspk.workflows.transform_vectors import FittedTransform, TransformRequest

ONNX = ".onnx"  # of models that cannot be rotated as a whole


def transform_model(
    model: ModelFile,
    speech: Path,
    *,
    output: Path,
    request: RotateRequest,
    settings: EvaluationConfig,
    device: str = "auto",
    cache_dir: Path | None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> FittedTransform:
    """Write a transform that names ``model`` as its base; both files together are a model.

    Args:
        model: Of any kind, such as an ONNX speaker model; in the folder of ``output``.
        speech: Folder with one subfolder per speaker; leave test speakers out.
        output: File to write: .npz.
        request: Options; without a transform, a rotation by falling energy.
        settings: Its ``batch_size``, ``max_seconds``, ``speech``, ``channel`` and ``cache`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of embeddings and graphs.
        force: Overwrite ``output``.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the model cannot be loaded.
        DataError: If the speech cannot be used, or has too few speakers.
        UsageError: If a width is wider than the model, or the model is in another folder than ``output``.
        MrlspkError: If ``output`` exists and ``force`` is false, or cannot be written.
    """
    check_transform_suffix(output)
    _check_beside(model.path, output)
    check_free(output, force=force)
    base = BaseFile(file=model.path.name, sha256=file_sha256(model.path))
    backend = load_backend(model, device=device, backend="auto", cache_dir=cache_dir, makes_graph=False).backend
    dims = choose_dims(backend.dims, request.dims)
    whole = scan_remaining(speech, request.corpus, request.exclude)
    corpus = draw_utterances(
        whole,
        per_speaker=request.utterances_per_speaker,
        max_speakers=request.max_speakers,
        seed=request.seed,
    )
    embedder = build_embedder(backend, settings, cache_dir=cache_dir, on_progress=on_progress)
    sources = {each.utterance_id: each.source for each in corpus.utterances}
    found = embedder.embed(map(Recording, sources.values()))
    vectors = with_speaker(corpus, found.of(sources))
    fitted = (request.transform or TransformRequest()).fit(vectors.embeddings, vectors.speaker_index, where=speech)
    transform = replace(
        fitted,
        dims=dims,
        fingerprint=backend.fingerprint,
        base=base,
        speech=embedder.speech_mode,
        speech_detector=embedder.speech_version,
    )
    save_transform(transform, output, force=force)
    counts = len(corpus.speakers), len(corpus.utterances)
    return FittedTransform(output, transform, *counts, file_sha256(output), output.stat().st_size)


def _check_beside(model: Path, output: Path) -> None:
    """Raise UsageError if a model is not in the folder of the transform."""
    if os.path.realpath(model.parent) != os.path.realpath(output.parent):
        what = f"expected the folder of the model, {model.parent}, where the transform finds it"
        beside = f"Give `output={model.parent / output.name}`"
        other = f"put a copy of {model.name} beside {output.name}"
        if model.suffix.lower() != ONNX:
            other = f"a file that ends in .pt, which holds the whole model: `output={output.with_suffix('.pt')}`"
        raise UsageError(what, fix=f"{beside}, or {other}.", parameter="output")
