"""``mrlspk data pack-noise``: pack recordings for augmentation into one file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option

if TYPE_CHECKING:
    from mrlspk.workflows.pack_noise import PackedNoise


def pack_noise_command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="Folders of noise, music, talkers or room responses.")
    ],
    *,
    path: Annotated[Path, option(Panel.OUTPUT, "--output", "-o", metavar="<file>", help="File to write.")],
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Pack noise or room responses into one file.

    data.musan_dataset and data.rir_dataset take the file, which is memory-mapped, in place of a folder,
    and crops of it cost far less. The samples are of 16 kHz and 16 bits. It is written whole or not at all.

    Example:
        mrlspk data pack-noise musan -o musan.safetensors
    """
    from mrlspk.workflows.pack_noise import pack_noise

    with output.progress("packing", quiet=quiet) as on_progress:
        packed = pack_noise(folders, path, force=force, on_progress=on_progress)
    output.show("data pack-noise", _payload(packed), _human(packed), as_json=as_json)


def _payload(packed: "PackedNoise") -> dict[str, Any]:
    return {
        "path": str(packed.path),
        "recordings": packed.n_recordings,
        "seconds": packed.seconds,
        "bytes": packed.n_bytes,
        "noises": packed.noises,
        "rooms": packed.rooms,
    }


def _human(packed: "PackedNoise") -> Iterator[RenderableType]:
    hours = f"{packed.seconds / 3600:,.1f} h" if packed.seconds >= 3600 else f"{packed.seconds:,.1f} s"
    yield f"{packed.path}: {packed.n_recordings:,} recordings, {hours}, {packed.n_bytes / 1e6:,.1f} MB"
    yield f"As noise: {_counts(packed.noises)}. As room responses: {_counts(packed.rooms)}."
    yield f"Use it with `--set data.musan_dataset={packed.path}`, or `data.rir_dataset`."


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items())) or "none"
