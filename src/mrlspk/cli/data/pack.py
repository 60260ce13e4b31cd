"""``mrlspk data pack``: pack a corpus into shards."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.corpus_option import CorpusChoice, ExcludeFiles, Jobs
from mrlspk.cli.options import LARGEST_SEED, AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.data.choices import AUTO
from mrlspk.errors import DataError, UsageError

if TYPE_CHECKING:
    from mrlspk.workflows.pack_shards import PackedShards

SHOWN = 20  # errors in the message; JSON has all
UNIT_BYTES = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def pack_command(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Folder whose subfolders are the speakers, or a manifest file.")
    ],
    *,
    folder: Annotated[Path, option(Panel.OUTPUT, "--output", "-o", metavar="<folder>", help="Folder of the shards.")],
    recipe: CorpusChoice = AUTO,
    exclude: ExcludeFiles = None,
    shard_size: Annotated[
        str, option(Panel.OUTPUT, "--shard-size", "--shard-bytes", metavar="<size>", help="Largest size of a shard.")
    ] = "1GiB",
    name: Annotated[
        str, option(Panel.OUTPUT, metavar="<name>", help="Beginning of the names of the shards.")
    ] = "shard",
    seed: Annotated[
        int, option(Panel.DATA, min=0, max=LARGEST_SEED, metavar="<n>", help="Seed of the order in the shards.")
    ] = 0,
    jobs: Jobs = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Pack a corpus into tars of WebDataset's format, with an index.

    Training and all commands that read a corpus take the folder in its place, also at a URL.
    If it is stopped, the same command goes on.

    Example:
        mrlspk data pack speech -o shards
    """
    from mrlspk.workflows.pack_shards import pack_shards

    with output.progress("packing", quiet=quiet) as on_progress:
        packed = pack_shards(
            corpus,
            folder,
            recipe=recipe,
            exclude=exclude or (),
            shard_bytes=parse_shard_size(shard_size),
            name=name,
            seed=seed,
            jobs=jobs,
            force=force,
            on_progress=on_progress,
        )
    output.show("data pack", _payload(packed), _human(packed), as_json=as_json)
    if packed.errors:
        raise _left_out(packed)


def _left_out(packed: "PackedShards") -> DataError:
    count = len(packed.errors)
    lines = [
        f"{count} of {count + packed.n_utterances} utterances could not be read and are not in the shards:",
        *islice(packed.errors.values(), SHOWN),
    ]
    if count > SHOWN:
        lines.append(f"… and {count - SHOWN:,} more; --json has all of them")
    return DataError("\n".join(lines))


def parse_shard_size(text: str) -> int:
    """Return the bytes of ``1GiB``, or of a plain number.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in UNIT_BYTES:
        fix = "Units are GiB, MiB, KiB, GB, MB and kB."
        raise UsageError(f"expected a size such as 1GiB, got {text!r}", parameter="shard_size", fix=fix)
    n_bytes = int(float(found[1]) * UNIT_BYTES[found[2]])
    if n_bytes < 1:
        raise UsageError(f"expected a size above 0, got {text!r}", parameter="shard_size")
    return n_bytes


def size_text(n_bytes: int) -> str:
    """Return a size with its unit: ``1.25 GB``."""
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.2f} MB"


def _payload(packed: "PackedShards") -> dict[str, Any]:
    return {
        "path": str(packed.path),
        "index": str(packed.index),
        "shards": packed.n_shards,
        "utterances": packed.n_utterances,
        "bytes": packed.n_bytes,
        "resumed": packed.n_resumed,
        "errors": [{"id": each, "message": message} for each, message in packed.errors.items()],
    }


def _human(packed: "PackedShards") -> Iterator[RenderableType]:
    rows = [
        ("shards", f"{packed.n_shards:,}"),
        ("utterances", f"{packed.n_utterances:,}"),
        ("size", size_text(packed.n_bytes)),
        ("index", packed.index),
    ]
    yield output.facts(rows)
    yield ""
    yield f"train on it: mrlspk train --set data.train_dataset={packed.path}"
