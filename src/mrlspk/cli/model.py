"""Which model a command means where it names one, or none."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.cli import output

if TYPE_CHECKING:
    from mrlspk.inference.locate import ModelFile

DEFAULT_MODEL = "redimnet-b2-vox2-ft_lm"
RUNS = Path("checkpoints")


def resolve_model(model: str | None, *, quiet: bool) -> "ModelFile":
    """Return the checkpoint that ``model`` means, a path or a name.

    Without one: ``MRLSPK_MODEL``, else ``best.pt`` of the newest run under ``checkpoints/``, else the default published
    model. What was chosen is named on stderr; a download shows its progress there, unless ``quiet``.

    Raises:
        ConfigError: If a variable of ours is unknown.
        CheckpointError: If there is no such file.
        DownloadError: If a published model is not there and cannot be fetched.
    """
    from mrlspk.config.sources import read_environment
    from mrlspk.inference.locate import locate_model

    environment = read_environment(os.environ)
    if model is None:
        model = environment.model or newest_best(RUNS) or DEFAULT_MODEL
        output.note(f"model: {model}")
    with output.progress(model, quiet=quiet) as on_progress:
        return locate_model(model, cache_dir=environment.cache_dir, mirror=environment.mirror, on_progress=on_progress)


def cache_folder() -> Path:
    """Return where fetched models and embeddings are kept.

    Raises:
        ConfigError: If a variable of ours is unknown.
    """
    from mrlspk.config.sources import read_environment

    return read_environment(os.environ).cache_dir


def mirror_address() -> str | None:
    """Return the URL or folder that holds copies of the published files; None where none is named.

    Raises:
        ConfigError: If a variable of ours is unknown.
    """
    from mrlspk.config.sources import read_environment

    return read_environment(os.environ).mirror


def newest_best(runs: Path) -> str | None:
    """Return ``best.pt`` of the run that was written last, or None."""
    found = [(path.stat().st_mtime, str(path)) for path in runs.glob("*/best.pt")]
    return max(found)[1] if found else None
