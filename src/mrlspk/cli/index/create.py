"""``mrlspk index create``: make an index without voices."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrlspk.cli import output
from mrlspk.cli.index.opening import encoder_loader, typed
from mrlspk.cli.options import (
    WIDEST,
    AsJson,
    Debug,
    Device,
    ModelOption,
    Quiet,
    Speech,
    TrustCode,
    channel_option,
    check_speech,
    parse_dims,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.index.enrolment.profiles import ProfileLimit
    from mrlspk.index.store.settings import IndexSettings

MOST_PROFILES = 100


def create_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; only its owner can read it.")],
    *,
    model: ModelOption = None,
    vectors: Annotated[
        Path | None,
        option(
            Panel.DATA,
            "--vectors",
            metavar="<file>",
            help="In place of a model: take width and model from these vectors. They are not enrolled.",
        ),
    ] = None,
    dim: Annotated[
        int | None,
        option(Panel.MODEL, min=1, max=WIDEST, metavar="<dim>", help="Width to store. Default: the full width."),
    ] = None,
    dims: Annotated[
        str | None,
        option(
            Panel.MODEL,
            "--dims",
            metavar="<dims>",
            help="With --vectors: widths that searches may compare. Default: those that the file names.",
        ),
    ] = None,
    profiles: Annotated[
        str,
        option(
            Panel.DATA,
            "--profiles",
            metavar="<auto|1|K>",
            help="Vectors of a voice: 1, at most K, or auto: one for each condition that is far from the others.",
        ),
    ] = "1",
    speech: Annotated[Speech | None, speech_option("auto", more="; it holds for queries too")] = None,
    channel: Annotated[
        str | None,
        channel_option(
            text="Channel of recordings: left, right, a number from 0, or mix. A query may name another. Default: mix."
        ),
    ] = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Make an index without voices.

    It remembers the model and how recordings are embedded.

    Example:
        mrlspk index create voices/
        mrlspk index create voices/ --vectors train.npz
    """
    from mrlspk.index.store.new_index import check_is_free
    from mrlspk.index.voice_index import VoiceIndex

    limit, widths = parse_profiles(profiles), parse_dims(dims)
    check_is_free(folder)  # before a model is fetched
    chosen = read_config(None, None, channel=channel).evaluation.channel
    if speech is not None:
        check_speech(speech.value)
    name = None
    if vectors is None:
        name = resolve_model(model, quiet=quiet, trust_code=trust_code).typed
    elif model is not None:
        raise UsageError("given with vectors", fix="Give either `model` or `vectors`.", parameter="model")
    with VoiceIndex.create(
        folder,
        name,
        vectors=vectors,
        dim=dim,
        dims=widths,
        speech=None if speech is None else speech.value,
        channel=chosen,
        profiles=limit,
        load=encoder_loader(device=device, trust_code=trust_code, quiet=quiet),
    ) as index:
        settings = index.settings
    payload: dict[str, Any] = {"path": str(folder), "settings": settings.model_dump(mode="json")}
    output.show("index create", payload, [_made(settings, folder), _next(settings, folder)], as_json=as_json)


def parse_profiles(text: str) -> "ProfileLimit":
    """Return the limit of profiles in ``auto``, ``1`` or another number.

    Raises:
        UsageError: If it is none.
    """
    if text == "auto":
        return "auto"
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_PROFILES:
        raise UsageError(f"expected auto or a number from 1 to {MOST_PROFILES}, got {text!r}", parameter="profiles")
    return int(text)


def _made(settings: "IndexSettings", folder: Path) -> str:
    of_model = Path(settings.model).name if settings.model else "vectors"
    return f"{folder}: an empty index of {of_model}, {settings.embed_dim} values a voice"


def _next(settings: "IndexSettings", folder: Path) -> str:
    what = "NAME AUDIO" if settings.model else "--vectors FILE"
    return f"To enrol voices: {typed('add', folder)} {what}"
