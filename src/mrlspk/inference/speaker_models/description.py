"""Describe how a speaker model is run: front end, inputs and outputs, from its YAML file, its metadata or its names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, field_validator

from mrlspk.config.base import StrictModel, Width
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError, shorten
from mrlspk.inference.speaker_models.front_ends import FrontEnd, KaldiFbank, NemoMel, Waveform
from mrlspk.inference.speaker_models.graph_ports import (
    Axis,
    Port,
    Ports,
    check_axes,
    find_axes,
    find_lengths,
    find_output,
    find_signal,
    named_port,
)
from mrlspk.reading import is_file, parse_yaml, read_yaml

SAMPLE_RATE = 16_000
SUFFIX = ".yaml"


class Settings(StrictModel):
    """What a YAML file beside a model says of it, or what its metadata mean; what is left out is found in the graph.

    Attributes:
        front_end: Of the model.
        sample_rate: Hz.
        input: Name of the input of features or samples.
        axes: Of that input.
        lengths: Name of the input of lengths.
        output: Name of the output of embeddings.
        embed_dim: Width of the embedding.
    """

    front_end: FrontEnd
    sample_rate: int = SAMPLE_RATE
    input: str | None = None
    axes: tuple[Axis, ...] | None = None
    lengths: str | None = None
    output: str | None = None
    embed_dim: Width | None = None

    @field_validator("front_end", mode="before")
    @classmethod
    def _accept_name(cls, value: Any) -> Any:
        """Accept the name of a front end alone."""
        return {"type": value} if isinstance(value, str) else value

    @field_validator("axes", mode="before")
    @classmethod
    def _accept_list(cls, value: Any) -> Any:
        """Accept ``batch, time, bins``."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


@dataclass(frozen=True)
class Description:
    """Everything needed to run a speaker model, checked against its graph.

    Attributes:
        front_end: Computes what the graph reads.
        sample_rate: Hz.
        input: Of features or samples.
        axes: Of that input.
        lengths: Input of lengths; None without one.
        output: Of embeddings.
        embed_dim: Width of the embedding; None if the graph does not say.
        recognised_as: ``wespeaker``, ``3d-speaker`` or ``nemo``; None if only a YAML file describes the model.
        source: Where the description is from: ``metadata``, ``names`` of inputs and outputs, or the name of a file.
        notes: What the YAML file and the metadata disagree about.
    """

    front_end: KaldiFbank | NemoMel | Waveform
    sample_rate: int
    input: Port
    axes: tuple[Axis, ...]
    lengths: Port | None
    output: Port
    embed_dim: int | None
    recognised_as: str | None
    source: str
    notes: tuple[str, ...] = ()


def settings_path(model: Path) -> Path:
    """Return the path of the YAML file that describes a model."""
    return model.with_suffix(SUFFIX)


def read_settings(model: Path) -> Settings | None:
    """Return the settings in the YAML file beside a model; None if there is no file.

    Raises:
        CheckpointError: If it cannot be read, or has an unknown key or value.
    """
    path = settings_path(model)
    return _as_settings(read_yaml(path, CheckpointError), path) if is_file(path, CheckpointError) else None


def parse_settings(text: str, where: Path) -> Settings:
    """Return the settings in the text of such a file; ``where`` is the file that it is from.

    Raises:
        CheckpointError: If it is no YAML, or has an unknown key or value.
    """
    return _as_settings(parse_yaml(text, where, CheckpointError), where)


def _as_settings(content: object, path: Path) -> Settings:
    if not isinstance(content, dict):
        raise CheckpointError(f"expected front_end: …, got {shorten(str(content))}", path, _HOW)
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise CheckpointError("\n".join(_problems(error)), path, _HOW) from error


_HOW = "`mrlspk model describe` shows how such a file looks; docs/any-model.md lists its keys."


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{key}: unknown key"
            continue
        got = "" if problem["type"] == "missing" else f", got {shorten(repr(problem['input']))}"
        yield f"{key}: {problem_text(problem)}{got}"


def resolve(
    settings: Settings,
    ports: Ports,
    where: Path,
    *,
    recognised_as: str | None,
    source: str,
    notes: tuple[str, ...] = (),
) -> Description:
    """Return the description of a model, with what its settings leave out taken from its graph.

    Args:
        settings: From its YAML file or its metadata.
        ports: Of its graph.
        where: Path of the model.
        recognised_as: See `Description`.
        source: See `Description`.
        notes: See `Description`.

    Raises:
        CheckpointError: If settings and graph contradict each other, or both leave something open.
    """
    front_end = settings.front_end
    if settings.sample_rate != SAMPLE_RATE:
        what = f"expected a model for {SAMPLE_RATE} Hz, found one for {settings.sample_rate} Hz"
        raise CheckpointError(what, where, "Give a model for 16 kHz.")
    bins = None if isinstance(front_end, Waveform) else front_end.bins
    signal = named_port(ports.inputs, settings.input, "input", where) if settings.input else find_signal(ports, where)
    axes = settings.axes or find_axes(signal, bins, where)
    check_axes(signal, axes, bins, where)
    lengths = find_lengths(ports, signal, where)
    if settings.lengths:
        lengths = named_port(ports.inputs, settings.lengths, "input", where)
    output = (
        named_port(ports.outputs, settings.output, "output", where)
        if settings.output
        else find_output(ports, where, embed_dim=settings.embed_dim)
    )
    embed_dim = _embed_dim(settings, output, source, where)
    return Description(front_end, SAMPLE_RATE, signal, axes, lengths, output, embed_dim, recognised_as, source, notes)


def _embed_dim(settings: Settings, output: Port, source: str, where: Path) -> int | None:
    width = output.shape[-1] if output.shape else None
    if isinstance(width, int) and settings.embed_dim not in {None, width}:
        says = "output_dim" if source == "metadata" else "embed_dim"
        raise CheckpointError(
            f"expected {settings.embed_dim} values ({says} in {source}), found the output {output}",
            where,
            "Correct the description, or fetch the file again.",
        )
    return width if isinstance(width, int) else settings.embed_dim


def differences(written: Settings, meant: Settings, *, name: str, framework: str) -> tuple[str, ...]:
    """Return what a YAML file says otherwise than the metadata of its model mean, as sentences."""
    first, second = written.front_end.model_dump(), meant.front_end.model_dump()
    if first["type"] != second["type"]:
        return (f"{name} says {first['type']}, the metadata of the model ({framework}) say {second['type']}",)
    return tuple(
        f"{name} says {key}: {first[key]}, the metadata of the model ({framework}) say {second[key]}"
        for key in first
        if first[key] != second[key]
    )


def written(description: Description) -> str:
    """Return the YAML file that says what a description does."""
    return yaml.safe_dump(as_plain(description), sort_keys=False, allow_unicode=True)


def as_plain(description: Description) -> dict[str, Any]:
    """Return what a description says as plain values, by the keys of the YAML file."""
    content: dict[str, Any] = {
        "front_end": description.front_end.model_dump(),
        "sample_rate": description.sample_rate,
        "input": description.input.name,
        "axes": ", ".join(description.axes),
    }
    if description.lengths:
        content["lengths"] = description.lengths.name
    return content | {"output": description.output.name}


def draft(ports: Ports) -> str:
    """Return the YAML file to edit for a model that is not recognised."""
    signal = next((port for port in ports.inputs if port.kind == "float32" and port.shape), None)
    sizes = [
        size for size in (signal.shape if signal and signal.shape else ())[1:] if isinstance(size, int) and size > 1
    ]
    is_waveform = signal is not None and signal.shape is not None and not sizes and len(signal.shape) < 3
    front_end: dict[str, Any] = {"type": "waveform", "sample_scale": 1} if is_waveform else _fbank_draft(sizes)
    output = next((port for port in ports.outputs if port.shape and len(port.shape) == 2), ports.outputs[0])
    content = {"front_end": front_end} | ({"input": signal.name} if signal else {}) | {"output": output.name}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return f"# A guess from the shapes of {ports}. Check it against how the model was trained.\n{text}"


def _fbank_draft(sizes: list[int]) -> dict[str, Any]:
    return KaldiFbank(bins=sizes[0] if sizes and sizes[0] <= 1024 else 80).model_dump(
        include={"type", "bins", "window", "sample_scale", "mean"}
    )
