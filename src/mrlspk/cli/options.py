"""Define the options that several commands share, read their configuration, and reconstruct the typed command."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrlspk.cli import output
from mrlspk.cli.completion import complete_key, complete_model
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import DownloadError, UsageError, shorten

if TYPE_CHECKING:
    from mrlspk.config import Config
    from mrlspk.config.evaluation import SpeechMode
    from mrlspk.config.sources import Environment
    from mrlspk.inference.default_model import DefaultModel
    from mrlspk.inference.model_file import ModelFile

DEBUG_KEY = "mrlspk.debug"
MOST = 1_000_000_000  # as in the configuration, which --help does not load
MOST_CHANNELS = 256
EACH = "each"
LARGEST_SEED = 2**63 - 1
WIDEST = 65_536
NOT_REPEATED = {"as_json", "quiet", "debug", "report", "scores", "force"}  # they do not change the results


def _remember_debug(ctx: typer.Context, value: bool) -> bool:  # noqa: FBT001 - the signature that typer calls
    ctx.meta[DEBUG_KEY] = value
    return value


def check_device(value: str | None) -> str | None:
    """Return ``value`` if it is the name of a device, or None."""
    if value is None:
        return None
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", value):
        raise typer.BadParameter(f"expected auto, cpu, cuda, cuda:N or mps, got {value!r}")
    return value


class Speech(StrEnum):
    """The part of a recording to embed."""

    AUTO = "auto"
    SILERO = "silero"
    ALL = "all"


def speech_option(default: str, flag: str = "--speech", *, more: str = "") -> Any:
    """Return the option of the speech to embed, with a default in words, and what else there is to say."""
    text = f"Embed the speech that a detector finds (auto, silero), or all of each recording{more}. Default: {default}."
    return option(Panel.DATA, flag, help=text, show_default=False)


def channel_option(*, each: bool = False, text: str | None = None) -> Any:
    """Return the option of the channel to take, with a help text; with ``each`` it may be every one in turn."""
    names = ("mix", "left", "right", *([EACH] if each else []))

    def check(value: str | None) -> str | None:
        number = value is not None and re.fullmatch("[0-9]{1,3}", value) and int(value) < MOST_CHANNELS
        if not (value is None or value in names or number):
            raise typer.BadParameter(
                f"expected {', '.join(names)} or a number from 0 to {MOST_CHANNELS - 1}, got {shorten(str(value))}"
            )
        return value

    more = "; each: every channel as a recording of its own" if each else ""
    common = f"Channel of each recording: left, right, a number from 0, or the average of all{more}. Default: mix."
    return option(Panel.DATA, "--channel", callback=check, metavar=f"<{'|'.join([*names, 'N'])}>", help=text or common)


def model_argument(help: str, metavar: str = "MODEL") -> Any:
    """Return the argument of a model, whose names a shell completes."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_model)


AsJson = Annotated[bool, option(Panel.OUTPUT, "--json", help="Print one JSON document in place of tables.")]
Quiet = Annotated[bool, option(Panel.GENERAL, "--quiet", help="Show no progress on stderr.")]
Debug = Annotated[
    bool, option(Panel.GENERAL, "--debug", callback=_remember_debug, help="Show the traceback of an error.")
]
Device = Annotated[
    str,
    option(
        Panel.MACHINE, "--device", callback=check_device, metavar="<device>", help="auto, cpu, cuda, cuda:N or mps."
    ),
]
OptionalDevice = Annotated[
    str | None,
    option(
        Panel.MACHINE,
        "--device",
        callback=check_device,
        metavar="<device>",
        help="auto, cpu, cuda, cuda:N or mps. Default: hardware.device.",
    ),
]
ConfigPath = Annotated[
    list[Path] | None,
    option(
        Panel.SETTINGS,
        "--config",
        metavar="<file>",
        help="YAML file; see configs/ for examples. Repeatable: later files override.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    option(
        Panel.SETTINGS,
        "--set",
        metavar="<key=value>",
        autocompletion=complete_key,
        help="Key and value, such as training.batch_size=32; repeatable. Overrides --config.",
    ),
]
MODEL_HELP = "Path or name. Default: the newest run's best, else the published one."
ModelArgument = Annotated[str | None, model_argument(MODEL_HELP)]
ModelOption = Annotated[
    str | None,
    option(Panel.MODEL, "--model", metavar="<model>", autocompletion=complete_model, help=MODEL_HELP),
]
BatchSize = Annotated[
    int | None,
    option(
        Panel.MACHINE,
        "--batch-size",
        min=1,
        max=MOST,
        metavar="<n>",
        help="Files of equal length embedded together. Default: the configuration's.",
    ),
]
TrustCode = Annotated[
    bool,
    option(Panel.MODEL, "--trust-code", help="Run the program in a TorchScript model. Only for files that you trust."),
]
CacheDir = Annotated[
    Path | None, option(Panel.DOWNLOAD, metavar="<folder>", help="Folder of fetched models. Default: MRLSPK_CACHE_DIR.")
]
ChannelChoice = Annotated[str | None, channel_option()]
Bundle = Annotated[
    bool,
    option(
        Panel.OUTPUT,
        "--bundle",
        help="Put the model of another toolkit that the head is on into the file, not beside it.",
    ),
]
Force = Annotated[bool, option(Panel.OUTPUT, "--force", help="Overwrite existing files.")]


def parse_dims(text: str | None) -> tuple[int, ...] | None:
    """Return the widths in ``64,128``, rising, or None.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,5}", part) and 0 < int(part) <= WIDEST for part in parts):
        raise UsageError(f"expected widths such as 64,128, got {text!r}", parameter="dims")
    return tuple(sorted({int(part) for part in parts}))


def resolve_model(
    model: str | None, *, quiet: bool, trust_code: bool = False, given_as: str = "--model FILE"
) -> "ModelFile":
    """Return the checkpoint of a path or name.

    Without one: ``MRLSPK_MODEL``, else the choice of `choose_default` among the runs under ``checkpoints/``. That is
    shown on stderr, and so is the progress of a download unless ``quiet``.

    Args:
        model: Path or name; None without one.
        quiet: Draw no progress.
        trust_code: Run a program in the file.
        given_as: How the command takes a model.

    Raises:
        ConfigError: If a ``MRLSPK_`` variable is unknown.
        CheckpointError: If there is no such file.
        DownloadError: If a published model cannot be fetched.
    """
    from mrlspk.inference.model_file import locate_model

    environment = _environment()
    default = _choose_model(environment) if model is None else None
    model = default.model if default else str(model)
    try:
        with output.progress(model, quiet=quiet, is_bytes=True) as on_progress:
            file = locate_model(
                model, cache_dir=environment.cache_dir, mirror=environment.mirror, on_progress=on_progress
            )
    except DownloadError as error:
        if default is None:
            raise
        from mrlspk.pretrained.download import no_model_named

        raise no_model_named(error, given_as) from error
    return replace(file, trust_code=trust_code, source=default.source if default else "argument", default=default)


def _choose_model(environment: "Environment") -> "DefaultModel":
    """Return the model to use if the command names none, and show it."""
    from mrlspk.inference.default_model import RUNS, DefaultModel, choose_default

    default = DefaultModel(environment.model, "MRLSPK_MODEL") if environment.model else choose_default(RUNS)
    output.note("\n".join(_about(default)))
    return default


def _about(default: "DefaultModel") -> Iterator[str]:
    """Yield what to say of a model that the command does not name, and of the newest run that is passed over."""
    if default.source == "MRLSPK_MODEL":
        yield f"model: {default.model}, the value of MRLSPK_MODEL"
        return
    is_run = default.source == "newest run"
    rate = f"EER {output.percent(default.eer)} % on " + (
        "its held-out speakers" if is_run else "VoxCeleb1-O, published"
    )
    facts = [
        default.date,
        f"trained on {default.corpus}" if default.corpus else None,
        rate if default.eer is not None else None,
    ]
    yield f"model: {default.model}, the {default.source} ({', '.join(filter(None, facts))})"
    if default.passed_over:
        newer = default.passed_over[0]
        yield f"not used: {newer.path}, {newer.reason}; name it to use it"


def model_entry(file: "ModelFile") -> dict[str, Any]:
    """Return the JSON entry ``model``: path and source, and of a default also date, corpus and EER."""
    default = file.default
    facts = ("date", "corpus", "eer") if default and default.source != "MRLSPK_MODEL" else ()
    return {"path": str(file.path), "source": file.source} | {key: getattr(default, key) for key in facts}


def cache_folder() -> Path:
    """Return the folder of fetched models and cached embeddings.

    Raises:
        ConfigError: If a ``MRLSPK_`` variable is unknown, or if there is no such folder.
    """
    return _environment().cache_folder()


def find_cache_folder() -> Path | None:
    """Return the folder of `cache_folder`; None if there is no home folder.

    Raises:
        ConfigError: If a ``MRLSPK_`` variable is unknown.
    """
    return _environment().cache_dir


def mirror_address() -> str | None:
    """Return the URL or folder with copies of the published files, or None.

    Raises:
        ConfigError: If a ``MRLSPK_`` variable is unknown.
    """
    return _environment().mirror


def _environment() -> "Environment":
    from mrlspk.config.sources import read_environment

    return read_environment(os.environ)


def typed_command(context: typer.Context, **defaults: str) -> str:
    """Return the running command with every argument and option that was given, as a user would type it again.

    Args:
        context: Context of the command.
        defaults: Values, by name, that were used for arguments not given.
    """
    words = [*context.command_path.split()[1:]]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        given = source is not None and source.name == "COMMANDLINE"
        if name in NOT_REPEATED or not (given or name in defaults):
            continue
        values = context.params[name] if given else defaults[name]
        words += _words(parameter, values if isinstance(values, list | tuple) else [values])
    return shlex.join(["mrlspk", *words])


def _words(parameter: Any, values: Any) -> Iterator[str]:
    for value in values:
        if parameter.param_type_name == "argument":
            yield str(value)
        elif getattr(parameter, "is_flag", False):
            yield parameter.opts[0]
        else:
            yield from (parameter.opts[0], str(value))


def read_config(paths: Sequence[Path] | None, overrides: Sequence[str] | None, **evaluation: Any) -> "Config":
    """Return the configuration of a command from the environment, ``--config``, ``--set`` and its own flags.

    Args:
        paths: Of ``--config``.
        overrides: Of ``--set``.
        evaluation: Keys of the section ``evaluation`` that flags give; one that is None was not given.

    Raises:
        ConfigError: If a key is unknown or a value is not allowed.
    """
    from mrlspk.config import load_config

    flags = [f"evaluation.{key}={_as_yaml(value)}" for key, value in evaluation.items() if value is not None]
    return load_config(paths, [*(overrides or ()), *flags], environment=os.environ)


def check_speech(mode: "SpeechMode") -> None:
    """Check before any model is loaded that the detector of a mode is installed.

    Raises:
        MissingDependencyError: If it is not.
    """
    from mrlspk.data.speech.build import build_detector

    build_detector(mode)


def choose_device(flag: str, config: "Config") -> str:
    """Return the device of the flag, or that of the configuration if the flag is auto."""
    return config.hardware.device if flag == "auto" else flag


def _as_yaml(value: Any) -> str:
    return json.dumps(value, default=str)
