"""Load a model from a checkpoint of any layout, and turn a model into the entries of a checkpoint."""

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrlspk.config.architecture import Architecture, HeadArchitecture
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.files import read_checkpoint
from mrlspk.models.checkpoints.layouts import (
    Family,
    Layout,
    read_layout,
)
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.checkpoints.state_dict_report import StateDictReport, compare_states
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.external_encoder import build_external_encoder
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import rotate_head
from mrlspk.models.headed_model import HeadedModel

# Errors of a network built from values of a file; the last three if it is too large for the machine.
_BUILD_ERRORS = (ConfigError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError)


class HeadOnlyError(CheckpointError):
    """A network was needed of a checkpoint that holds a head on the embeddings of another model."""


@dataclass(frozen=True)
class LoadedModel:
    """An encoder in evaluation mode and the description in its file.

    Attributes:
        encoder: With the weights of the file. Of a head on another model, that model is not attached.
        architecture: What rebuilds the encoder.
        family: The layout of the file.
        report: All entries of the network loaded, and those of the file that were left out.
        described: The configuration of the network as the file has it.
        config: The resolved configuration of the training run; None for published models.
        contents: All other entries of the file.
        provenance: Which model this one was made from.
    """

    encoder: HeadedModel
    architecture: Architecture
    family: Family
    report: StateDictReport
    described: dict[str, Any]
    config: dict[str, Any] | None
    contents: dict[str, Any]
    provenance: Provenance


@dataclass(frozen=True)
class ModelInspection:
    """The contents of a checkpoint, and which of its weights load.

    Attributes:
        family: The layout of the file.
        config: The configuration of the network, as the file has it.
        parameters: Number of values of the network, trained or fixed.
        embed_dim: Full width.
        dims: Widths that it was trained for.
        other_entries: Entries of the file beside configuration, weights and provenance.
        report: Which of the weights load.
    """

    family: Family
    config: dict[str, Any]
    parameters: int
    embed_dim: int
    dims: tuple[int, ...]
    other_entries: tuple[str, ...]
    report: StateDictReport


def load_model(path: Path) -> LoadedModel:
    """Return the model in ``path``; every entry of its network must load.

    Raises:
        CheckpointError: If the file is no checkpoint, if its configuration holds anything unknown, or if any entry of
            the network is missing, unknown or of another shape.
    """
    return load_entries(read_checkpoint(path), path)


def load_entries(entries: dict[str, Any], path: Path) -> LoadedModel:
    """Return the model among entries that `read_checkpoint` read from ``path``.

    Raises:
        CheckpointError: As `load_model`.
    """
    layout = read_layout(entries, path)
    encoder, report = _empty_encoder(layout, path)
    if not report.is_whole:
        raise CheckpointError(
            f"its weights do not fit its own configuration ({report.coverage:.1%} of the values load): "
            f"{report.problems()}",
            path,
            f"If it was downloaded, fetch it again; `mrlspk pretrained inspect {path}` lists all entries.",
        )
    expected = encoder.state_dict()
    encoder.load_state_dict(
        {name: _ready(layout.state[layout.name_in_file(name)], like) for name, like in expected.items()}, assign=True
    )
    return LoadedModel(
        encoder.eval(),
        layout.architecture,
        layout.family,
        report,
        described=layout.described,
        config=layout.config,
        contents=layout.contents,
        provenance=layout.provenance,
    )


def inspect_model(path: Path) -> ModelInspection:
    """Return the description in a checkpoint and which of its weights fit, without loading them into a network.

    Raises:
        CheckpointError: If the file is no checkpoint, or its configuration holds anything unknown.
    """
    return inspect_entries(read_checkpoint(path), path)


def inspect_entries(entries: dict[str, Any], path: Path) -> ModelInspection:
    """Return the same of entries that `read_checkpoint` read from ``path``.

    Raises:
        CheckpointError: As `inspect_model`.
    """
    layout = read_layout(entries, path)
    encoder, report = _empty_encoder(layout, path)
    return ModelInspection(
        family=layout.family,
        config=layout.described,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        embed_dim=encoder.embed_dim,
        dims=encoder.dims,
        other_entries=tuple(sorted(map(str, layout.contents.keys() - {"model_config", schema.CONFIG}))),
        report=report,
    )


def network_of(loaded: LoadedModel, path: Path) -> Encoder:
    """Return the encoder of a model whose whole network is in its file.

    Raises:
        HeadOnlyError: If it is a head on the embeddings of another model.
    """
    if isinstance(loaded.encoder, Encoder):
        return loaded.encoder
    what = "is a head on the embeddings of another model, and this needs a network"
    raise HeadOnlyError(what, path, "Give a checkpoint of ReDimNet or ReDimNet2.")


def with_widths(loaded: LoadedModel, dims: tuple[int, ...]) -> tuple[HeadedModel, int]:
    """Return the encoder with a head for ``dims``, and the number of rows of the head that come from the file.

    The head keeps its normalisation and the rows that both widths have; further rows are random until trained. A
    normalisation of the output is folded into the rows.
    """
    encoder = loaded.encoder
    old, kept = encoder.head, min(dims[-1], encoder.embed_dim)
    if loaded.architecture.output_norm:
        old = rotate_head(old, np.eye(encoder.embed_dim))
    head = MatryoshkaHead(old.linear.in_features, dims[-1])
    state = head.state_dict()
    for name, values in old.state_dict().items():
        if name.startswith("linear."):
            state[name][:kept] = values[:kept]
        else:
            state[name] = values
    head.load_state_dict(state)
    return encoder.with_head(head, dims), kept


def encoder_entries(encoder: HeadedModel, architecture: Architecture) -> dict[str, Any]:
    """Return the entries from which `load_model` rebuilds ``encoder``."""
    return {
        schema.FORMAT: schema.FORMAT_NAME,
        schema.FORMAT_VERSION: schema.LATEST_VERSION,
        schema.MRLSPK_VERSION: installed_version("mrlspk"),
        schema.ARCHITECTURE: architecture.model_dump(mode="json"),
        schema.MODEL: encoder.state_dict(),
    }


def portable_entries(loaded: LoadedModel) -> dict[str, Any]:
    """Return the entries of a checkpoint of ours that holds the model and what describes it, but not its run."""
    entries = encoder_entries(loaded.encoder, loaded.architecture)
    entries[schema.PROVENANCE] = loaded.provenance.entry()
    if loaded.config is not None:
        entries[schema.CONFIG] = loaded.config
    return entries | {key: loaded.contents[key] for key in schema.PORTABLE if key in loaded.contents}


def _empty_encoder(layout: Layout, path: Path) -> tuple[HeadedModel, StateDictReport]:
    """Return the network that a file describes, on the meta device, and the report on the weights of the file."""
    try:
        encoder = _build(layout.architecture)
    except _BUILD_ERRORS as error:
        raise CheckpointError(
            f"its configuration cannot be built: {error}", path, "Give a checkpoint whose configuration is whole."
        ) from error
    expected = {layout.name_in_file(name): like for name, like in encoder.state_dict().items()}
    left_out = [name for name in layout.state if name.startswith(layout.left_out)] if layout.left_out else []
    return encoder, compare_states(layout.state, expected, left_out=left_out)


def _build(architecture: Architecture) -> HeadedModel:
    if isinstance(architecture, HeadArchitecture):
        return build_external_encoder(architecture, empty=True)
    return build_encoder(architecture, empty=True)


def _ready(values: Tensor, like: Tensor) -> Tensor:
    """Return a copy of a file's values in the network's number type."""
    return values.detach().to(like.dtype).clone(memory_format=torch.contiguous_format)
