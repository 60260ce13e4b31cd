"""Describe the graph of a checkpoint."""

from pathlib import Path
from typing import Any

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.provenance import describe_base
from mrlspk.models.checkpoints import LoadedModel
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata


def describe_graph(
    model: ModelFile,
    loaded: LoadedModel,
    *,
    cache_dir: Path | None,
    input: GraphInput = "waveform",
    calibration: dict[str, Any] | None = None,
) -> GraphMetadata:
    """Return the description of the graph of a checkpoint, without checks.

    Args:
        model: Its file.
        loaded: The model in it.
        cache_dir: Folder of fetched models, whose registry may know its licence.
        input: What the graph reads.
        calibration: Of the model.

    Raises:
        CheckpointError: If its model card is damaged.
    """
    encoder = loaded.encoder
    return GraphMetadata(
        input=input,
        dims=encoder.dims,
        sample_rate=SAMPLE_RATE,
        min_samples=encoder.min_samples,
        fingerprint=model_fingerprint(encoder),
        family=loaded.family,
        licence=describe_base(model, loaded, cache_dir=cache_dir).licence,
        calibration=calibration,
        config=loaded.config,
    )
