"""``mrlspk gpu-profile``: how much memory a run takes, and the batch that fits."""

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, ConfigPath, Debug, Force, OptionalDevice, Overrides, Quiet
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.workflows.profile_gpu import GpuProfile

UNIT_BYTES = {"gib": 2**30, "mib": 2**20, "gb": 10**9, "mb": 10**6}


def gpu_profile_command(
    *,
    config_path: ConfigPath = None,
    overrides: Overrides = None,
    vram_limit: Annotated[
        str | None, typer.Option(help="Plan for a card of this size, e.g. 12GiB; needed where there is no GPU.")
    ] = None,
    target_batch: Annotated[
        int | None, typer.Option(min=2, help="Crops of an optimiser step, reached by accumulation.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write a configuration with the batch that fits, for mrlspk train.")
    ] = None,
    force: Force = False,
    device: OptionalDevice = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Measure the memory of training steps, and choose batch size and accumulation."""
    limit_mib = parse_memory(vram_limit)

    from mrlspk.config import load_config
    from mrlspk.config.environment import Environment
    from mrlspk.files import check_free
    from mrlspk.workflows.profile_gpu import profile_gpu, write_config

    if write is not None:
        check_free(write, force=force)
    environment = Environment()
    sets = overrides or []
    config = load_config(config_path, sets, environment=os.environ)
    probed = (
        load_config(config_path, [*sets, f"hardware.device={device}"], environment=os.environ) if device else config
    )
    with output.progress("taking steps", quiet=quiet):
        profile = profile_gpu(
            probed,
            vram_limit_mib=limit_mib,
            target_batch=target_batch,
            cache_dir=environment.cache_dir,
            mirror=environment.mirror,
        )
    if write is not None:
        write_config(config, profile, write)
    output.show("gpu-profile", _payload(profile, write), _human(profile, write), as_json=as_json)


def parse_memory(text: str | None) -> float | None:
    """Return the MiB of ``12GiB``, ``800MiB``, ``16GB`` or ``800MB``, or None.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    if match is None or match[2] not in UNIT_BYTES or not float(match[1]):
        raise UsageError(
            f"expected a size such as 12GiB, got {text!r}", "--vram-limit", "Units are GiB, MiB, GB and MB."
        )
    return float(match[1]) * UNIT_BYTES[match[2]] / 2**20


def _payload(profile: "GpuProfile", written: Path | None) -> dict[str, object]:
    measured = [{key: value for key, value in asdict(point).items() if value is not None} for point in profile.measured]
    payload = asdict(profile) | {"prediction": profile.prediction, "measured": measured}
    return payload if written is None else payload | {"written": str(written)}


def _human(profile: "GpuProfile", written: Path | None) -> Iterator[RenderableType]:
    if profile.prediction:
        yield f"A prediction for {profile.limit_mib:.0f} MiB from steps on the CPU: there is no GPU to measure on."
    else:
        yield f"{profile.device}, {profile.total_mib:.0f} MiB, planned with {profile.limit_mib:.0f} MiB"
    classes = "" if profile.speakers_counted else ", assumed: the training corpus is not there"
    yield f"classes: {profile.n_speakers}{classes}"
    columns = ("batch", "peak MiB, predicted" if profile.prediction else "peak MiB, reserved")
    yield output.table(None, columns, [(point.batch, f"{point.peak_mib:.0f}") for point in profile.measured])
    yield f"training.batch_size: {profile.batch_size}"
    yield f"training.accumulation_steps: {profile.accumulation_steps}"
    yield f"expected peak: {profile.predicted_peak_mib:.0f} of {profile.usable_mib:.0f} usable MiB"
    if written is not None:
        yield f"configuration written to {written}"
