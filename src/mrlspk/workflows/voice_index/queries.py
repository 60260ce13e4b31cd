"""Take the queries of a command: recordings, or the vectors of a file."""

from collections.abc import Sequence
from pathlib import Path

from mrlspk.errors import DataError, UsageError
from mrlspk.index.queries import ManyQueries, Queries
from mrlspk.index.query_files import read_query_file
from mrlspk.index.voice_index import VoiceIndex


def check_given(audio: Sequence[str], vectors: Path | None, ids: Path | None, channel: str | None) -> None:
    """Check that there are either recordings or vectors.

    Raises:
        UsageError: If there are both or none, ids without vectors, or a channel of vectors.
    """
    if bool(audio) == bool(vectors):
        raise UsageError("expected recordings or vectors", fix="Give AUDIO or `vectors`.")
    if ids and not vectors:
        raise UsageError("given without vectors", fix="Give `vectors` too.", parameter="ids")
    if vectors and channel is not None:
        raise UsageError("vectors have no channel", fix="Give either `vectors` or `channel`.", parameter="channel")


def take_queries(index: VoiceIndex, audio: Sequence[str], vectors: Path | None, ids: Path | None) -> ManyQueries:
    """Return recordings that exist, or the vectors of a file, which takes neither the model nor PyTorch.

    Raises:
        DataError: If no file of ``audio`` exists, or the vectors are of another model.
    """
    if vectors is not None:
        return read_query_file(index.settings, vectors, ids=ids)
    from mrlspk.workflows.embed_inputs import refuse_missing

    refuse_missing(audio)
    return audio


def take_query(index: VoiceIndex, audio: str | None, vectors: Path | None, ids: Path | None) -> str | Queries:
    """Return a recording that exists, or the only vector of a file.

    Raises:
        DataError: As of `take_queries`, or if the file holds several vectors.
    """
    taken = take_queries(index, [audio] if audio else [], vectors, ids)
    if not isinstance(taken, Queries):
        return str(taken[0])
    if len(taken.asked) != 1:
        raise DataError(f"expected one vector, got {len(taken.asked)}", vectors, "`identify` takes several.")
    return taken
