"""One loader for every layout: a whole network, or an error that names what does not fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrlspk.config.architecture import Architecture
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoints import own, predecessor, published, schema
from mrlspk.models.checkpoints.layout import Family, Layout
from mrlspk.models.checkpoints.reading import read_checkpoint
from mrlspk.models.checkpoints.transfer import TransferReport, compare_states
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.folding import rotate_head
from mrlspk.models.head import MatryoshkaHead

# What building a network from values of a file can raise: the last three where its size is beyond the machine.
_BUILD_ERRORS = (ConfigError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError)


@dataclass(frozen=True)
class LoadedModel:
    """An encoder in evaluation mode and what its file says about it.

    Attributes:
        encoder: All weights are the file's.
        architecture: What rebuilds the encoder.
        family: The layout of the file.
        transfer: That every entry was loaded, and what was left out.
        described: The configuration of the network as the file has it.
        config: The resolved configuration of the training run; None for published models.
        contents: All entries of the file but the weights.
    """

    encoder: Encoder
    architecture: Architecture
    family: Family
    transfer: TransferReport
    described: dict[str, Any]
    config: dict[str, Any] | None
    contents: dict[str, Any]


@dataclass(frozen=True)
class ModelInspection:
    """What a checkpoint holds, and what of it loads.

    Attributes:
        family: The layout of the file.
        config: The configuration of the network, as the file has it.
        parameters: Of the network, trained or fixed.
        embed_dim: Full width.
        dims: Widths that it was trained for.
        other_entries: Entries of the file beside configuration and weights.
        transfer: What of the weights loads.
    """

    family: Family
    config: dict[str, Any]
    parameters: int
    embed_dim: int
    dims: tuple[int, ...]
    other_entries: tuple[str, ...]
    transfer: TransferReport


def load_model(path: Path) -> LoadedModel:
    """Return the model in ``path``, whole.

    Raises:
        CheckpointError: If the file is no checkpoint, if its configuration holds anything unknown, or if any entry of
            the network is missing, unknown or of another shape.
    """
    return load_entries(read_checkpoint(path), path)


def load_entries(entries: dict[str, Any], path: Path) -> LoadedModel:
    """Return the model among the entries that `read_checkpoint` read from ``path``, whole.

    Raises:
        CheckpointError: As `load_model`.
    """
    layout = _layout_of(entries, path)
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
    )


def inspect_model(path: Path) -> ModelInspection:
    """Return what a checkpoint describes and what of its weights fits, without loading them into a network.

    Raises:
        CheckpointError: If the file is no checkpoint, or its configuration holds anything unknown.
    """
    layout = _layout_of(read_checkpoint(path), path)
    encoder, report = _empty_encoder(layout, path)
    return ModelInspection(
        family=layout.family,
        config=layout.described,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        embed_dim=encoder.embed_dim,
        dims=encoder.dims,
        other_entries=tuple(sorted(map(str, layout.contents.keys() - {"model_config", schema.CONFIG}))),
        transfer=report,
    )


def with_widths(loaded: LoadedModel, dims: tuple[int, ...]) -> tuple[Encoder, int]:
    """Return the encoder with a head for ``dims``, and how many rows of the head come from the file.

    Rows that both heads have are kept, with the head's normalisation; rows beyond them are random until trained. A
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


def _layout_of(contents: dict[str, Any], path: Path) -> Layout:
    if contents.get(schema.FORMAT) == schema.FORMAT_NAME:
        return own.read_own(contents, path)
    if contents.keys() >= published.KEYS:
        return published.read_published(contents, path)
    if contents.keys() >= predecessor.KEYS:
        return predecessor.read_predecessor(contents, path)
    found = ", ".join(sorted(map(str, contents))[:6])
    raise CheckpointError(
        f"is no speaker model: expected model_config and state_dict, or an mrlspk checkpoint; found {found or 0}",
        path,
        "Give a published ReDimNet or ReDimNet2 checkpoint, or one that mrlspk train wrote.",
    )


def _empty_encoder(layout: Layout, path: Path) -> tuple[Encoder, TransferReport]:
    """Return the network that a file describes, its weights without memory, and how the file's fit it."""
    try:
        encoder = build_encoder(layout.architecture, empty=True)
    except _BUILD_ERRORS as error:
        raise CheckpointError(
            f"its configuration cannot be built: {error}", path, "Give a checkpoint whose configuration is whole."
        ) from error
    expected = {layout.name_in_file(name): like for name, like in encoder.state_dict().items()}
    left_out = [name for name in layout.state if name.startswith(layout.left_out)] if layout.left_out else []
    return encoder, compare_states(layout.state, expected, left_out=left_out)


def _ready(values: Tensor, like: Tensor) -> Tensor:
    """Return a file's values in the network's number type, in memory of their own."""
    return values.detach().to(like.dtype).clone(memory_format=torch.contiguous_format)
