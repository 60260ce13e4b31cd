"""``mrlspk gpu-profile``: measure or predict the memory of a run, and choose the batch that fits."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.completion import complete_model
from mrlspk.cli.options import MOST, AsJson, ConfigPath, Debug, Force, OptionalDevice, Overrides, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.workflows.profile_gpu import GpuProfile

UNIT_BYTES = {"gib": 2**30, "mib": 2**20, "gb": 10**9, "mb": 10**6}


def gpu_profile_command(
    ctx: typer.Context,
    *,
    config_paths: ConfigPath = None,
    overrides: Overrides = None,
    vram_limit: Annotated[
        str | None,
        option(Panel.MACHINE, metavar="<size>", help="Plan for a GPU of this size, e.g. 12GiB; needed without a GPU."),
    ] = None,
    target_batch: Annotated[
        int | None,
        option(
            Panel.TRAINING, min=2, max=MOST, metavar="<n>", help="Crops per optimiser step (gradient accumulation)."
        ),
    ] = None,
    fastest: Annotated[
        bool,
        option(
            Panel.TRAINING,
            "--fastest",
            help="Choose the batch size with the highest throughput, not the largest; needs a GPU.",
        ),
    ] = False,
    stand_in: Annotated[
        Path | None,
        option(
            Panel.MODEL,
            metavar="<model>",
            autocompletion=complete_model,
            help="Checkpoint of the same architecture, used if the configured model is not on this machine.",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        option(
            Panel.OUTPUT, metavar="<file>", help="Write a configuration with the batch that fits, for mrlspk train."
        ),
    ] = None,
    force: Force = False,
    device: OptionalDevice = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Choose the batch size that fits the memory of a GPU.

    Training steps are measured on the GPU, or predicted from the CPU.

    Example:
        mrlspk gpu-profile --config configs/default.yaml --write fitted.yaml
    """
    limit_mib = parse_memory(vram_limit)

    from mrlspk.config import load_config
    from mrlspk.config.sources import read_environment
    from mrlspk.files import claimed_file
    from mrlspk.workflows.profile_gpu import profile_gpu, write_config

    claim = None if write is None else ctx.with_resource(claimed_file(write, force=force))
    environment = read_environment(os.environ)
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # PyTorch's profiler says on stderr that there is no GPU
    sets = overrides or []
    config = load_config(config_paths, sets, environment=os.environ)
    tried = load_config(config_paths, [*sets, *_only_tried(device, stand_in)], environment=os.environ)
    with output.progress("running steps", quiet=quiet):
        profile = profile_gpu(
            tried,
            limit_mib=limit_mib,
            target_batch=target_batch,
            fastest=fastest,
            cache_dir=environment.cache_dir,
            mirror=environment.mirror,
        )
    written = None
    try:
        if claim is not None:
            write_config(config, profile, claim)
            written = write
    finally:  # a full disk does not lose the profile
        output.show("gpu-profile", _payload(profile, written), _human(profile, written), as_json=as_json)


def _only_tried(device: str | None, stand_in: Path | None) -> Iterator[str]:
    """Yield the settings of flags that hold for the profile and are not written."""
    if device is not None:
        yield f"hardware.device={device}"
    if stand_in is not None:
        yield "model.backbone=null"
        yield "model.pretrained.use_pretrained=true"
        yield f"model.pretrained.pretrained_checkpoint={json.dumps(str(stand_in))}"


def parse_memory(text: str | None) -> float | None:
    """Return the MiB of ``12GiB``, ``800MiB``, ``16GB`` or ``800MB``, or None.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,7})?)\s*([a-z]+)", text.strip().lower())
    if match is None or match[2] not in UNIT_BYTES or not float(match[1]):
        raise UsageError(
            f"expected a size such as 12GiB, got {text!r}", parameter="limit_mib", fix="Units are GiB, MiB, GB and MB."
        )
    return float(match[1]) * UNIT_BYTES[match[2]] / 2**20


def _payload(profile: "GpuProfile", written: Path | None) -> dict[str, object]:
    found = profile.found
    values = asdict(profile) | asdict(found.gpu)
    del values["found"]
    values["usable_mib"], values["predicted_peak_mib"] = found.gpu.usable_mib, profile.predicted_peak_mib
    values["written"] = None if written is None else str(written)
    measured = [_known(asdict(point)) for point in found.points]
    # The device is null without a GPU; other unknown values are absent.
    return _known(values) | {"device": profile.device, "prediction": profile.device is None, "measured": measured}


def _known(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _human(profile: "GpuProfile", written: Path | None) -> Iterator[RenderableType]:
    gpu = profile.found.gpu
    if profile.device is None:
        yield f"Predicted for {gpu.limit_mib:.0f} MiB from steps on the CPU: there is no GPU to measure on."
    else:
        yield f"{profile.device}, {gpu.total_mib:.0f} MiB, planned with {gpu.limit_mib:.0f} MiB"
    yield f"free: {gpu.free_mib:.0f} MiB, usable ({gpu.share:.0%}): {gpu.usable_mib:.0f} MiB"
    assumed = "" if profile.speakers_counted else " (assumed: the training corpus is not there)"
    if profile.key == "training.batch_size":
        yield f"classes: {profile.n_speakers}{assumed}"
    yield _table(profile)
    each = "" if profile.n_processes == 1 else f", in each of {profile.n_processes} processes"
    yield f"{profile.key}: {profile.batch_size}, the {profile.chosen} that fits{each}"
    if profile.key == "training.batch_size":
        yield f"training.accumulation_steps: {profile.accumulation_steps}"
    else:
        yield "Only the head is trained: crops pass through the network once, and their pooled vectors are stored."
    yield f"expected peak: {profile.predicted_peak_mib:.0f} of {gpu.usable_mib:.0f} usable MiB"
    if written is not None:
        yield f"configuration written to {written}"


def _table(profile: "GpuProfile") -> RenderableType:
    """Return the table of peaks by batch, with crops per second if they were measured."""
    points = profile.found.points
    rows = [[point.batch, f"{point.peak_mib:.0f}", f"{point.utterances_per_second or 0:.0f}"] for point in points]
    if profile.device is None:
        return output.table(None, ["batch", "peak MiB, predicted"], [row[:2] for row in rows])
    return output.table(None, ["batch", "peak MiB, reserved", "utterances/s"], rows)
