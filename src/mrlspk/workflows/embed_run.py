"""Embed the files that no earlier run has embedded, and put each into the spool as it comes."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from mrlspk.data.audio.source import AudioSource
from mrlspk.errors import DataError
from mrlspk.inference.decoding import OnPart
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort
from mrlspk.workflows.embedding_rows import EmbeddedRows, Totals
from mrlspk.workflows.embedding_spool import Spool, State, state_of

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class EmbedProgress:
    """How far a run is.

    Attributes:
        files: That are done; a part of a long one counts.
        total: All files.
        audio_seconds: That this run has embedded.
        seconds: Since it began to.
    """

    files: float
    total: int
    audio_seconds: float
    seconds: float


type OnEmbedProgress = Callable[[EmbedProgress], None]


class Stream(Protocol):
    """`embed_stream` of one model."""

    def __call__(  # noqa: D102
        self, recordings: Iterable[Recording], *, batch_size: int, on_part: OnPart | None = None
    ) -> Generator[tuple[Recording, EmbeddedRecording | TooShort | DataError]]: ...


class EmbedRun:
    """A run over files.

    Args:
        sources: By id, in input order.
        spool: Gets the rows.
        offsets: Of the rows of an earlier run, by id; those of this run are added.
        on_progress: Called as files are done.

    Attributes:
        errors: Why a file has no embedding, by id.
        totals: Of all rows.
        n_resumed: Rows of an earlier run.
        seconds: That this run took.
    """

    def __init__(
        self,
        sources: Mapping[str, AudioSource],
        spool: Spool,
        offsets: dict[str, int],
        on_progress: OnEmbedProgress | None,
    ) -> None:
        self._sources, self._spool, self._offsets, self._on_progress = sources, spool, offsets, on_progress
        self._begun: deque[tuple[str, State]] = deque()  # files that the stream has and not given back
        self.errors: dict[str, str] = {}
        self.totals, self.n_resumed, self.seconds = Totals(), len(offsets), 0.0
        for file_id, item in spool.read(offsets.values()):
            self.totals.add(file_id, item)
        self._audio_before = self.totals.audio_seconds

    def embed_missing(self, stream: Stream, *, batch_size: int) -> None:
        """Embed what no earlier run has embedded.

        Raises:
            MrlspkError: If the spool cannot be written.
        """
        start = time.monotonic()
        outcomes = stream(self._missing(), batch_size=batch_size, on_part=lambda part: self._tell(start, part))
        with self._telling_what_is_kept(), closing(outcomes) as found:
            for _, outcome in found:
                self._take(*self._begun.popleft(), outcome)
                self._tell(start)
        self.seconds = time.monotonic() - start

    def rows(self, dim: int) -> EmbeddedRows:
        """Return all rows in input order, cut to a width."""
        ids = [file_id for file_id in self._sources if file_id in self._offsets]
        return EmbeddedRows(self._spool, ids, [self._offsets[file_id] for file_id in ids], dim)

    @property
    def new_audio_seconds(self) -> float:
        """Length of the recordings that this run has embedded."""
        return self.totals.audio_seconds - self._audio_before

    @contextmanager
    def _telling_what_is_kept(self) -> Iterator[None]:
        """Tell what the spool keeps if Ctrl-C or SIGTERM ends the block."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            done = f"{len(self._offsets)} of {len(self._sources)} embeddings"
            if kept := self._spool.kept_file:
                log.warning("%s keeps %s: give `resume` to go on from there", kept, done)
            elif self._offsets:
                log.warning("%s were made and are not kept: give `output` to keep them", done)
            raise

    def _missing(self) -> Iterator[Recording]:
        for file_id, source in self._sources.items():
            if file_id not in self._offsets:
                self._begun.append((file_id, state_of(source)))
                yield Recording(source)

    def _take(self, file_id: str, state: State, outcome: EmbeddedRecording | TooShort | DataError) -> None:
        if isinstance(outcome, EmbeddedRecording):
            self._offsets[file_id] = self._spool.add(file_id, outcome, state)
            self.totals.add(file_id, outcome)
        else:
            self.errors[file_id] = str(outcome)

    def _tell(self, start: float, part: float = 0.0) -> None:
        if self._on_progress:
            files, seconds = len(self._offsets) + len(self.errors) + part, time.monotonic() - start
            self._on_progress(EmbedProgress(files, len(self._sources), self.new_audio_seconds, seconds))
