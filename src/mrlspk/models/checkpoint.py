"""Checkpoints of models: the published layout and our own, read without running what they hold."""

import pickle
import zipfile
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from mrlspk.config.backbone import BackboneConfig, PublishedConfig
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.head import MatryoshkaHead

FORMAT, FORMAT_VERSION = "mrlspk", 1
# Entries of a published state dict by ours; its classifier over training speakers is not part of an encoder.
_PUBLISHED_HEAD = {"bn.": "head.norm.", "linear.": "head.linear.", "bn2.": "head.output_norm."}
_CLASSIFIER = "cls_head."
_HEAD = "head.linear.weight"  # (embed_dim, statistics)
# What building a network from values of a file can raise: the last two where its size is beyond the machine.
_BUILD_ERRORS = (KeyError, TypeError, ValueError, ConfigError, RuntimeError, MemoryError, OverflowError)


@dataclass(frozen=True)
class LoadedModel:
    """An encoder in evaluation mode and what its file says about it.

    Attributes:
        encoder: All weights are the file's.
        architecture: What rebuilds the encoder, as `encoder_entries` stores it.
        family: The layout of the file.
        config: The resolved configuration of the training run; None for published models.
        contents: All other entries of the file.
    """

    encoder: Encoder
    architecture: dict[str, Any]
    family: Literal["redimnet", "mrlspk"]
    config: dict[str, Any] | None
    contents: dict[str, Any]


def load_model(path: Path) -> LoadedModel:
    """Return the model in ``path``, whole.

    Raises:
        CheckpointError: If the file is no checkpoint, or if any entry of the network is missing, unknown or of another
            shape.
    """
    contents = read_checkpoint(path)
    if contents.get("format") == FORMAT:
        return _own_model(contents, path)
    if {"model_config", "state_dict"} <= contents.keys():
        return _published_model(contents, path)
    found = ", ".join(sorted(map(str, contents))[:6])
    raise CheckpointError(
        f"is no speaker model: expected model_config and state_dict, or an mrlspk checkpoint; found {found or 0}",
        path,
        "Give a published ReDimNet checkpoint or one that mrlspk train wrote.",
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the entries of a checkpoint file: tensors and plain values only, nothing is run.

    Raises:
        CheckpointError: If the file is missing, is no checkpoint, or holds anything else.
    """
    if not path.is_file():
        raise CheckpointError("no such checkpoint file", path, "Check the path; mrlspk pretrained list shows names.")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            "is not a checkpoint: expected the zip layout of torch.save (a bare pickle is refused unread)",
            path,
            "Give a checkpoint that torch.save wrote; if it was downloaded, fetch it again.",
        )
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"holds more than tensors and plain values, and is refused: {str(error).splitlines()[0]}", path
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"is damaged or no checkpoint: {error}", path, "Fetch or write it again.") from error
    if not isinstance(contents, dict):
        raise CheckpointError(f"expected a dict of entries, found a {type(contents).__name__}", path)
    return contents


def encoder_entries(encoder: Encoder, architecture: dict[str, Any]) -> dict[str, Any]:
    """Return the entries from which `load_model` rebuilds ``encoder``; a checkpoint may hold more beside them."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mrlspk_version": installed_version("mrlspk"),
        "architecture": architecture | {"matryoshka_dims": list(encoder.dims)},
        "model": encoder.state_dict(),
    }


def describe_architecture(backbone: BackboneConfig, *, output_norm: bool = False) -> dict[str, Any]:
    """Return what, with the widths, rebuilds an encoder."""
    return {"backbone": backbone.model_dump(mode="json"), "output_norm": output_norm}


def with_widths(loaded: LoadedModel, dims: tuple[int, ...]) -> tuple[Encoder, int]:
    """Return the encoder with a head for ``dims``, and how many rows of the head come from the file.

    Rows that both heads have are kept, with the head's normalisation; rows beyond them are random until trained.
    """
    encoder = loaded.encoder
    old, kept = encoder.head, min(dims[-1], encoder.embed_dim)
    head = MatryoshkaHead(old.linear.in_features, dims[-1], output_norm=loaded.architecture["output_norm"])
    state, source = head.state_dict(), old.state_dict()
    for name, values in source.items():
        if values.ndim and not name.startswith("norm."):
            state[name][:kept] = values[:kept]
        else:
            state[name] = values
    head.load_state_dict(state)
    return Encoder(encoder.spec, encoder.backbone, encoder.pool, head, dims), kept


def _own_model(contents: dict[str, Any], path: Path) -> LoadedModel:
    version = contents.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"has format version {version}, and this mrlspk reads {FORMAT_VERSION}",
            path,
            f"It was written by mrlspk {contents.get('mrlspk_version')}: install that version or a later one.",
        )
    try:
        architecture = contents["architecture"]
        backbone = BackboneConfig.model_validate(architecture["backbone"])
        dims = _rising_widths(architecture["matryoshka_dims"])
        state = _checked_state(contents["model"], dims[-1], path)
        encoder = build_encoder(backbone, dims, output_norm=architecture["output_norm"])
    except _BUILD_ERRORS as error:
        raise CheckpointError(f"its architecture cannot be built: {error}", path) from error
    _load_whole(encoder, state, path)
    rest = {key: value for key, value in contents.items() if key not in {"model", "architecture", "config"}}
    return LoadedModel(encoder.eval(), architecture, "mrlspk", contents.get("config"), rest)


def _published_model(contents: dict[str, Any], path: Path) -> LoadedModel:
    try:
        config = PublishedConfig.model_validate(contents["model_config"])
        state = _checked_state(_in_our_names(contents["state_dict"]), config.embed_dim, path)
        encoder = build_encoder(config.backbone(), (config.embed_dim,), output_norm=config.emb_bn)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise CheckpointError(f"option not supported in model_config: {problems}", path) from error
    except _BUILD_ERRORS as error:
        raise CheckpointError(f"its model_config cannot be built: {error}", path) from error
    _load_whole(encoder, state, path)
    architecture = describe_architecture(config.backbone(), output_norm=config.emb_bn)
    return LoadedModel(encoder.eval(), architecture, "redimnet", None, {"model_config": contents["model_config"]})


def _rising_widths(dims: Any) -> tuple[int, ...]:
    """Return the widths of a file; they must rise from 1 or more."""
    widths = tuple(int(dim) for dim in dims)
    if not widths or widths[0] < 1 or list(widths) != sorted(set(widths)):
        raise ValueError(f"expected matryoshka_dims that rise, got {dims}")
    return widths


def _checked_state(state: Any, embed_dim: int, path: Path) -> dict[str, Any]:
    """Return the entries of a network whose head is ``embed_dim`` wide, which is seen before anything is built."""
    if not isinstance(state, dict):
        raise CheckpointError(f"expected a dict of weights, found a {type(state).__name__}", path)
    head = state.get(_HEAD)
    if head is None:
        raise CheckpointError(f"its weights do not fit its own configuration: missing {_HEAD}", path)
    if isinstance(head, Tensor) and (head.ndim != 2 or head.shape[0] != embed_dim):
        found = f"{_HEAD} has shape {tuple(head.shape)}, expected {embed_dim} rows"
        raise CheckpointError(f"its weights do not fit its own configuration: {found}", path)
    return state


def _in_our_names(state: Any) -> Any:
    """Return a published state dict without its classifier, or what is none as it is."""
    if not isinstance(state, dict):
        return state
    ours = {_our_name(str(name)): values for name, values in state.items()}
    return {name: values for name, values in ours.items() if not name.startswith(_CLASSIFIER)}


def _our_name(published: str) -> str:
    for theirs, ours in _PUBLISHED_HEAD.items():
        if published.startswith(theirs):
            return ours + published.removeprefix(theirs)
    return published


def _load_whole(encoder: Encoder, state: dict[str, Tensor], path: Path) -> None:
    """Load every entry, or raise with the names of all that do not fit."""
    expected = encoder.state_dict()
    problems = [f"missing {name}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        found = state[name]
        if not isinstance(found, Tensor):
            problems.append(f"{name} is a {type(found).__name__}, not a tensor")
        elif found.shape != expected[name].shape:
            problems.append(f"{name} has shape {tuple(found.shape)}, expected {tuple(expected[name].shape)}")
    if problems:
        shown = "; ".join(sorted(problems)[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")
        raise CheckpointError(f"{len(problems)} entries do not fit its own configuration: {shown}", path)
    encoder.load_state_dict(state)
