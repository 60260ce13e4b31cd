"""``mrlspk features``: store the pooled vectors that training a head needs."""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.completion import complete_model
from mrlspk.cli.options import AsJson, ConfigPath, Debug, OptionalDevice, Quiet
from mrlspk.cli.options import Overrides as Sets
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.train import flag_overrides, quiet_logs
from mrlspk.cli.train_progress import TrainProgress

if TYPE_CHECKING:
    from mrlspk.workflows.features import StoredFeatures


def features_command(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Training corpus: a folder, shards, or a manifest file.")
    ],
    *,
    folder: Annotated[
        Path, option(Panel.OUTPUT, "--output", "-o", metavar="<folder>", help="Folder of the feature stores.")
    ],
    config_paths: ConfigPath = None,
    overrides: Sets = None,
    init_from: Annotated[
        str | None,
        option(
            Panel.MODEL,
            "--init-from",
            metavar="<model>",
            autocompletion=complete_model,
            help="The model whose vectors are stored, as `mrlspk train` takes it. Default: the configuration's.",
        ),
    ] = None,
    device: OptionalDevice = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Store the pooled vectors of a frozen backbone.

    Training a head with the same configuration reads them. If it is stopped, the same command goes on.

    Example:
        mrlspk features speech -o features
    """
    from mrlspk.config import load_config
    from mrlspk.config.sources import read_environment
    from mrlspk.workflows.features import store_features

    environment = read_environment(os.environ)
    own = (f"data.train_dataset={json.dumps(str(corpus))}", f"features.folder={json.dumps(str(folder))}")
    sets = [*(overrides or ()), *own, *flag_overrides(init_from, device)]
    config = load_config(config_paths, sets, environment=os.environ)
    quiet_logs(is_first=True)
    with TrainProgress(quiet=quiet) as progress:
        stored = store_features(
            config, cache_dir=environment.cache_dir, mirror=environment.mirror, on_stage=progress.stage
        )
    output.show("features", _payload(stored), _human(stored, corpus), as_json=as_json)


def _payload(stored: "StoredFeatures") -> dict[str, Any]:
    return {
        "path": str(stored.path),
        "rows": stored.n_rows,
        "stores": [
            {"path": str(each.folder), "kind": each.key["kind"], "rows": each.n_rows, "bytes": each.nbytes}
            for each in stored.stores
        ],
        "left_out": [each.entry() for each in stored.left_out],
    }


def _human(stored: "StoredFeatures", corpus: Path) -> Iterator[RenderableType]:
    names = {"crops": "random crops", "whole": "utterances"}
    rows = [
        (each.folder.name, names[each.key["kind"]], f"{each.n_rows:,}", f"{each.nbytes / 1e6:,.1f} MB")
        for each in stored.stores
    ]
    yield output.table(str(stored.path), ("store", "of", "rows", "size"), rows)
    yield ""
    places = f"data.train_dataset={corpus}", f"features.folder={stored.path}"
    sets = " ".join(f"--set {shlex.quote(each)}" for each in places)
    yield f"train on them, with the same configuration: mrlspk train {sets}"
