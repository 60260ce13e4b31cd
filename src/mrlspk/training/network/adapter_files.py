"""Save and load adapters with their head in peft's files; apply them to a base model."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from pydantic import PositiveInt, TypeAdapter, ValidationError
from torch import Tensor

from mrlspk.config.architecture import Architecture, NetworkArchitecture, ReDimNet2Architecture, ReDimNetArchitecture
from mrlspk.errors import CheckpointError
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import LoadedModel
from mrlspk.models.checkpoints.files import import_safetensors
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.reading import is_file, read_bytes
from mrlspk.training.network.lora import NAME, adapted_layers, inject, library, merged, without_adapters

FOLDER, CONFIG, WEIGHTS = "adapter", "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # peft's prefix of every name
HEADER = "mrlspk"  # key of mrlspk's metadata in the header of the weights
HEAD = "head."


class _Options(TypedDict):
    """The options of peft that mrlspk reads."""

    r: PositiveInt
    lora_alpha: PositiveInt
    target_modules: list[str]


class _Header(TypedDict):
    """The metadata of mrlspk."""

    architecture: ReDimNetArchitecture | ReDimNet2Architecture
    base: str


@dataclass(frozen=True)
class Adapter:
    """The content of an adapter's folder.

    Attributes:
        names: Layers with an adapter.
        rank: Of each adapter.
        alpha: Adapters are scaled by alpha / rank.
        architecture: Of the adapted model.
        base: Fingerprint of the base model without its head.
        state: Weights of the adapters and of the head, by their names in an adapted encoder.
    """

    names: tuple[str, ...]
    rank: int
    alpha: int
    architecture: NetworkArchitecture
    base: str
    state: dict[str, Tensor]


def save_adapter(folder: Path, encoder: Encoder, architecture: Architecture) -> None:
    """Write the adapters and the head of ``encoder`` to ``folder``, in a format that peft can load.

    ``PeftModel.from_pretrained(base, folder)`` needs an encoder of this architecture, with a head of the same widths.

    Raises:
        MissingDependencyError: If peft is not installed.
        MrlspkError: If a file cannot be written.
    """
    options, safetensors = _peft_options(encoder), import_safetensors(folder)
    state = {PREFIX + name: values.detach().cpu().contiguous() for name, values in _kept_state(encoder).items()}
    base = model_fingerprint(without_adapters(encoder), without="head")
    header = json.dumps({"architecture": architecture.model_dump(mode="json"), "base": base})
    with whole_file(folder / WEIGHTS, force=True) as partial:
        partial.write_bytes(safetensors.torch.save(state, metadata={"format": "pt", HEADER: header}))
    with whole_file(folder / CONFIG, force=True) as partial:
        partial.write_text(json.dumps(options, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _kept_state(encoder: Encoder) -> dict[str, Tensor]:
    """Return adapters and head by their names in peft's file."""
    state = encoder.state_dict()
    return {name.replace(f".{NAME}.", "."): state[name] for name in state if ".lora_" in name or name.startswith(HEAD)}


def _peft_options(encoder: Encoder) -> dict[str, Any]:
    """Return the content of peft's ``adapter_config.json``."""
    layers = dict(adapted_layers(encoder))
    first = next(iter(layers.values()))
    config = library().LoraConfig(
        r=first.r[NAME], lora_alpha=first.lora_alpha[NAME], inference_mode=True, modules_to_save=["head"]
    )
    options: dict[str, Any] = config.to_dict()
    return options | {"target_modules": sorted(layers)}


def load_adapter(folder: Path) -> Adapter:
    """Return the adapter in ``folder``.

    Raises:
        CheckpointError: If a file is missing or damaged, or not written by mrlspk.
        MissingDependencyError: If peft is not installed.
    """
    library()
    safetensors = import_safetensors(folder)
    for path in (folder / CONFIG, folder / WEIGHTS):
        if not is_file(path, CheckpointError, "Give the folder `adapter` of a run."):
            raise CheckpointError("the adapter lacks this file", path, "Give the folder `adapter` of a run.")
    try:
        options = TypeAdapter(_Options).validate_json(read_bytes(folder / CONFIG, CheckpointError))
    except ValidationError as error:
        raise _damaged(folder / CONFIG, error) from error
    try:
        with safetensors.safe_open(folder / WEIGHTS, framework="pt") as file:
            header = TypeAdapter(_Header).validate_json((file.metadata() or {})[HEADER])
            state = {name.removeprefix(PREFIX): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (KeyError, ValidationError, safetensors.SafetensorError, OSError) as error:
        raise _damaged(folder / WEIGHTS, error) from error
    return Adapter(
        tuple(options["target_modules"]),
        options["r"],
        options["lora_alpha"],
        header["architecture"],
        header["base"],
        state,
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"is damaged, or not written by mrlspk: {error}", path, "Give the folder `adapter` of a run."
    )


def with_adapter(loaded: LoadedModel, folder: Path) -> LoadedModel:
    """Merge the adapter in ``folder`` into a model; the entries of the model's run are dropped.

    Raises:
        CheckpointError: If the folder has no adapter of mrlspk, or one for another model.
        MissingDependencyError: If peft is not installed.
    """
    adapter = load_adapter(folder)
    if model_fingerprint(loaded.encoder, without="head") != adapter.base:
        raise CheckpointError(
            "the adapter was trained on another model", folder, "Give the model that its run started from."
        )
    encoder = build_encoder(adapter.architecture)
    beneath = {name: values for name, values in loaded.encoder.state_dict().items() if not name.startswith(HEAD)}
    try:
        encoder.load_state_dict(beneath | {name: v for name, v in adapter.state.items() if name.startswith(HEAD)})
        inject(encoder, adapter.names, rank=adapter.rank, alpha=adapter.alpha)
        own = {name.replace(f".{NAME}.", "."): name for name in encoder.state_dict() if ".lora_" in name}
        state = {name: values for name, values in adapter.state.items() if not name.startswith(HEAD)}
        encoder.load_state_dict({own[name]: values for name, values in state.items()}, strict=False)
        if own.keys() != state.keys():
            raise KeyError(*sorted(own.keys() ^ state.keys())[:1])
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"the adapter does not fit its own metadata: {error}", folder) from error
    return replace(
        loaded,
        encoder=merged(encoder).eval(),
        architecture=adapter.architecture,
        config=None,
        contents={},
        provenance=Provenance(kind="adapter"),
    )
