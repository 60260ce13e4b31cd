"""``mrlspk index add``: enrol voices from recordings or vectors."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.opening import open_index
from mrlspk.cli.index.options import IndexFolder, IndexModel, LeastSpeech, VectorsInPlace
from mrlspk.cli.index.voice_text import counted
from mrlspk.cli.options import AsJson, Debug, Device, Quiet, TrustCode
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.vectors import IdsPath, SpeakersPath
from mrlspk.errors import DataError, UsageError

if TYPE_CHECKING:
    from mrlspk.index.enrolment.enrol import Enrolled
    from mrlspk.index.enrolment.metadata import MetadataValue
    from mrlspk.index.enrolment.refusals import Remark

log = logging.getLogger("mrlspk.index")

MOST_REMARKS = 20  # warnings; --json has all remarks
ONE_OF = "Give NAME and AUDIO, or one of `from_folder`, `from_csv` and `vectors`."


def add_command(
    folder: IndexFolder,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the voice.")] = None,
    audio: Annotated[list[Path] | None, typer.Argument(metavar="AUDIO", help="Its recordings.")] = None,
    *,
    from_folder: Annotated[
        Path | None,
        option(
            Panel.DATA,
            "--from-folder",
            metavar="<folder>",
            help="Enrol every speaker of this folder: NAME/…/file.",
        ),
    ] = None,
    from_csv: Annotated[
        Path | None,
        option(
            Panel.DATA,
            "--from-csv",
            metavar="<file>",
            help="Table with the columns name and path; further columns are metadata.",
        ),
    ] = None,
    vectors: VectorsInPlace = None,
    speakers: SpeakersPath = None,
    ids: IdsPath = None,
    metadata: Annotated[
        list[str] | None,
        option(Panel.DATA, "--metadata", metavar="<key=value>", help="Of NAME, such as site=north; repeatable."),
    ] = None,
    min_speech_seconds: LeastSpeech = 1.0,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Enrol voices from recordings, a folder, a table or vectors.

    Recordings of a NAME that is enrolled are added to it. Exit code 3 if a recording is refused; the others are
    enrolled.

    Example:
        mrlspk index add voices/ anna a.wav b.wav
        mrlspk index add voices/ --from-folder speech/
    """
    values = parse_metadata(metadata or ())
    _check(name, audio, from_folder, from_csv, vectors)
    if vectors is None and (speakers or ids):
        parameter = "speakers" if speakers else "ids"
        raise UsageError("given without vectors", fix="Give `vectors` too.", parameter=parameter)
    if values and name is None:
        fix = "Put it into the columns of a table: `from_csv`."
        raise UsageError("given without NAME", fix=fix, parameter="metadata")
    index = open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet)
    with index, output.progress("embedding", quiet=quiet) as on_progress:
        if from_folder is not None:
            done = index.add_folder(from_folder, min_speech_seconds=min_speech_seconds, on_done=on_progress)
        elif from_csv is not None:
            done = index.add_table(from_csv, min_speech_seconds=min_speech_seconds, on_done=on_progress)
        elif vectors is not None:
            done = index.add_vectors(vectors, speakers=speakers, ids=ids, min_speech_seconds=min_speech_seconds)
        else:
            done = index.add(name or "", *(audio or ()), metadata=values, min_speech_seconds=min_speech_seconds)
        voices = len(index)
    _warn(done)
    output.show("index add", _payload(done, voices), _human(done, voices), as_json=as_json)
    if done.refused:
        raise _refusal(done.refused, done.n_recordings + len(done.repeated))


def parse_metadata(texts: Sequence[str]) -> "dict[str, MetadataValue]":
    """Return metadata of ``key=value`` texts; a number, true and false are values of that type.

    Raises:
        UsageError: If one has no key, or a key repeats.
    """
    from mrlspk.index.enrolment.metadata import read_value

    values: dict[str, MetadataValue] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"expected key=value, got {text!r}", parameter="metadata")
        if key.strip() in values:
            raise UsageError(f"expected each key once, got {key.strip()} twice", parameter="metadata")
        values[key.strip()] = read_value(value.strip())
    return values


def _check(name: str | None, audio: Sequence[Path] | None, *others: Path | None) -> None:
    """Refuse recordings from more or less than one place.

    Raises:
        UsageError: If they are.
    """
    n_others = sum(each is not None for each in others)
    if name is not None and n_others:
        raise UsageError(f"expected recordings from one place, got the name {name} too", fix=ONE_OF)
    if n_others > 1 or (name is None and not n_others):
        raise UsageError(f"expected recordings from one place, got {n_others or 'none'}", fix=ONE_OF)
    if name is not None and not audio:
        hint = f"; {name} is a file: its NAME goes before it" if Path(name).is_file() else ""
        raise UsageError(f"expected NAME and AUDIO, got one of them{hint}", fix=ONE_OF)


def _warn(done: "Enrolled") -> None:
    """Warn of odd recordings, each kind once, of those that do not match their voice, and of unknown vectors."""
    for text in done.warnings:
        log.warning("%s", text)
    kinds = Counter(each.reason for each in done.noted)
    for first in {each.reason: each for each in reversed(done.noted)}.values():
        more = kinds[first.reason] - 1
        log.warning("%s%s", first, f"; the same of {more:,} more" if more else "")
    for each in done.outliers[:MOST_REMARKS]:
        log.warning("%s", each)
    if len(done.outliers) > MOST_REMARKS:
        log.warning("%d more recordings do not match their voice", len(done.outliers) - MOST_REMARKS)


def _payload(done: "Enrolled", voices: int) -> dict[str, Any]:
    remarks = {
        "refused": done.refused,
        "repeated": done.repeated,
        "outliers": done.outliers,
        "noted": done.noted,
    }
    return {
        "names": list(done.names),
        "new_names": list(done.new_names),
        "recordings": done.n_recordings,
        "voices": voices,
        **{key: [asdict(each) for each in found] for key, found in remarks.items()},
    }


def _human(done: "Enrolled", voices: int) -> Iterator[RenderableType]:
    from mrlspk.index.enrolment.refusals import shown_source

    recordings = counted(done.n_recordings, "recording")
    if len(done.names) == 1:
        verb = "enrolled" if done.new_names else "added to"
        yield f"{verb} {done.names[0]}: {recordings}"
    elif done.names:
        new = f", {len(done.new_names):,} of them new" if len(done.new_names) < len(done.names) else ""
        yield f"enrolled {len(done.names):,} voices{new}: {recordings}"
    if done.repeated:
        such_as = shown_source(done.repeated[0].source)
        yield f"{counted(len(done.repeated), 'recording')} enrolled already, such as {such_as}"
    yield f"the index has {counted(voices, 'voice')}"


def _refusal(refused: "Sequence[Remark]", n_taken: int) -> DataError:
    shown = [str(each) for each in refused[:MOST_REMARKS]]
    more = [f"and {len(refused) - MOST_REMARKS:,} more"] if len(refused) > MOST_REMARKS else []
    head = f"{len(refused):,} of {len(refused) + n_taken:,} recordings were refused, the others are enrolled:"
    return DataError("\n".join([head, *shown, *more]))
