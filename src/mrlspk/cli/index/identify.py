"""``mrlspk index identify`` and ``verify``: decide whose voice a recording is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.index.answers import (
    identification_entry,
    show_identification,
    show_identifications,
    show_verification,
    verification_entry,
    warn_once,
    warnings_entry,
)
from mrlspk.cli.index.opening import open_index, typed
from mrlspk.cli.index.options import (
    TEN_TIMES,
    FalseAcceptRate,
    IndexFolder,
    IndexModel,
    Margin,
    QueryChannel,
    SearchedDim,
    VectorsInPlace,
    VoiceFalseAcceptRate,
    VoiceName,
    Where,
)
from mrlspk.cli.options import MOST, AsJson, Debug, Device, Quiet, TrustCode
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.vectors import IdsPath
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.index.results import Identification, Verification


def identify_command(
    folder: IndexFolder,
    audio: Annotated[list[str] | None, typer.Argument(metavar="AUDIO", help="Recordings.")] = None,
    *,
    vectors: VectorsInPlace = None,
    ids: IdsPath = None,
    channel: QueryChannel = None,
    false_accept_rate: FalseAcceptRate = 0.01,
    margin: Margin = TEN_TIMES,
    dim: SearchedDim = None,
    where: Where = None,
    k: Annotated[int, option(Panel.OUTPUT, "-k", min=1, max=MOST, metavar="<n>", help="Candidates to show.")] = 5,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Say whose voice a recording is: accept NAME, unknown, or ambiguous.

    A decision needs a calibration: see `mrlspk index calibrate`. Without one, scores are shown.

    Example:
        mrlspk index identify voices/ call.wav
        mrlspk index identify voices/ --vectors calls.npz
    """
    from mrlspk.config.base import channel_number
    from mrlspk.workflows.voice_index.queries import check_given, take_queries

    check_given(audio or (), vectors, ids, channel)
    taken = None if channel is None else channel_number(channel)
    with open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet) as index:
        found = index.identify_many(
            take_queries(index, audio or (), vectors, ids),
            channel=taken,
            k=k,
            dim=dim,
            where=where,
            false_accept_rate=false_accept_rate,
            margin=margin,
        )
    if len(found) == 1 and found[0].error is not None:
        raise found[0].error
    _warn(found)
    entries = [identification_entry(each) for each in found]
    payload = entries[0] if len(entries) == 1 else {}
    payload |= {"recordings": [entry | warnings_entry(each) for entry, each in zip(entries, found, strict=True)]}
    calibrate = typed("calibrate", folder)
    human = show_identification(found[0], calibrate) if len(found) == 1 else show_identifications(found, calibrate)
    output.show("index identify", payload, human, as_json=as_json)
    _check_all(found)


def verify_command(
    folder: IndexFolder,
    name: VoiceName,
    audio: Annotated[str | None, typer.Argument(metavar="AUDIO", help="A recording.")] = None,
    *,
    vectors: VectorsInPlace = None,
    ids: IdsPath = None,
    channel: QueryChannel = None,
    false_accept_rate: VoiceFalseAcceptRate = 0.01,
    dim: SearchedDim = None,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Decide whether a recording is of one voice.

    A decision needs a calibration: see `mrlspk index calibrate`. Without one, the score is shown.

    Example:
        mrlspk index verify voices/ anna call.wav
    """
    from mrlspk.config.base import channel_number
    from mrlspk.workflows.voice_index.queries import check_given, take_query

    check_given([audio] if audio else [], vectors, ids, channel)
    taken = None if channel is None else channel_number(channel)
    with open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet) as index:
        query = take_query(index, audio, vectors, ids)
        found = index.verify(name, query, channel=taken, dim=dim, false_accept_rate=false_accept_rate)
    _warn([found])
    human = show_verification(found, typed("calibrate", folder))
    output.show("index verify", verification_entry(found), human, as_json=as_json)


def _warn(found: "Sequence[Identification | Verification]") -> None:
    """Warn of recordings without speech, and of what makes decisions less reliable; what is said twice, say once."""
    from mrlspk.index.deciding import NOT_CALIBRATED

    told = ((each.query, text) for each in found for text in (*each.query.warnings, *each.warnings))
    warn_once((query, text) for query, text in told if text != NOT_CALIBRATED)


def _check_all(found: "Sequence[Identification]") -> None:
    """Raise DataError if a recording could not be embedded."""
    failed = [str(each.error) for each in found if each.error is not None]
    if failed:
        head = f"{len(failed)} of {len(found)} recordings could not be embedded:"
        raise DataError("\n".join([head, *failed]))
