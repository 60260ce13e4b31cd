"""Complete names of models and voices and keys of the configuration in a shell."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from mrlspk.errors import MrlspkError, UsageError

COMPLETIONS = {"--install-completion", "--show-completion"}
MOST_NAMES = 50  # voices that a shell offers


def complete_model(incomplete: str) -> list[str]:
    """Return the names of models, and the best checkpoints of runs in this folder, that begin as typed."""
    return [name for name in _model_names() if name.startswith(incomplete)]


def complete_key(incomplete: str) -> list[str]:
    """Return the keys of the configuration that begin as typed, with an equals sign."""
    from mrlspk.config.keys import known_keys

    keys = list(known_keys())
    sections = {key.rpartition(".")[0] for key in keys}
    return [f"{key}=" for key in keys if key not in sections and key.startswith(incomplete)]


def complete_voice(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of voices of the index in this command that begin as typed."""
    from mrlspk.workflows.voice_index.list_voices import names_beginning

    folder = ctx.params.get("folder")
    try:
        return names_beginning(Path(folder), incomplete, most=MOST_NAMES) if folder else []
    except MrlspkError:  # commands report it; while a word is typed there is nowhere to
        return []


def check_shell() -> None:
    """Check that a shell has started this process, which the options for completion are about.

    Raises:
        UsageError: If none has.
    """
    import shellingham

    try:
        shellingham.detect_shell()
    except shellingham.ShellDetectionFailure as error:
        fix = "Type it in bash, zsh or fish."
        raise UsageError("the shell that started it is not known", "completion", fix) from error


def _model_names() -> Iterator[str]:
    from mrlspk.config.sources import read_environment
    from mrlspk.inference.default_model import RUNS
    from mrlspk.pretrained import list_models
    from mrlspk.pretrained.own_models import list_own_models

    yield from sorted(str(path) for path in RUNS.glob("*/best.pt"))
    yield from (model.name for model in list_models())
    try:
        folder = read_environment(os.environ, strict=False).cache_dir
        own = list_own_models(folder).models if folder else ()
    except MrlspkError:  # commands report it; while a word is typed there is nowhere to
        own = ()
    yield from (model.name for model in own)
