"""Cut enrolled recordings to a few seconds of speech, as queries that show what short speech costs."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource
from mrlspk.evaluation.embedder import Embedder
from mrlspk.index.decisions.trials import EnrolledRecordings, Queries
from mrlspk.inference.recording import Recording

MAX_CUT_RECORDINGS = 300  # cut at most, drawn

type EmbedCuts = Callable[[Sequence[int], float], NDArray[np.float32]]


def cut_queries(
    enrolled: EnrolledRecordings,
    embed_cuts: EmbedCuts,
    *,
    seconds: Sequence[float],
    max_recordings: int = MAX_CUT_RECORDINGS,
    seed: int = 0,
) -> list[Queries]:
    """Return queries of the middle seconds of the speech of recordings; those with less speech are left out.

    Args:
        enrolled: The recordings.
        embed_cuts: Returns the embeddings (rows, embed_dim) of rows of ``enrolled``, cut to so many seconds of speech;
            a row of NaN for a recording that cannot be read any more, or is too short.
        seconds: Of speech.
        max_recordings: More are drawn from.
        seed: Of the draw.
    """
    rng, parts = np.random.default_rng(seed), list[Queries]()
    order = rng.permutation(len(enrolled.vectors))
    for length in seconds:
        rows = np.sort(order[enrolled.speech_seconds[order] > length][:max_recordings])
        if not len(rows):
            continue
        vectors = embed_cuts(rows.tolist(), length)[:, : enrolled.vectors.shape[1]]  # an index may hold prefixes
        lengths = np.linalg.norm(vectors, axis=1)
        found = np.isfinite(lengths) & (lengths > 0)
        rows, unit = rows[found], (vectors[found] / lengths[found, None]).astype(np.float32)
        if len(rows):
            parts.append(Queries(unit, enrolled.voice_index[rows], np.full(len(rows), length), rows))
    return parts


def cut_embedder(embedder: Embedder, sources: Sequence[AudioSource | None]) -> EmbedCuts:
    """Return a function for `cut_queries` that embeds the middle of the speech of recordings.

    Args:
        embedder: As the index embeds.
        sources: Of each enrolled recording; None if it is unknown.
    """

    def embed(rows: Sequence[int], seconds: float) -> NDArray[np.float32]:
        wanted = {row: Recording(source, seconds) for row in rows if (source := sources[row]) is not None}
        found = embedder.try_embed(wanted.values()).embeddings
        vectors = np.full((len(rows), embedder.embed_dim), np.nan, dtype=np.float32)
        for place, row in enumerate(rows):
            if row in wanted and wanted[row] in found and found[wanted[row]].speech_seconds != 0:
                vectors[place] = found[wanted[row]].vector
        return vectors

    return embed
