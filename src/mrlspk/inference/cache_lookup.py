"""Look up recordings in the cache and store new embeddings, during one `embed_recordings` call."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import batched

from mrlspk import __version__
from mrlspk.data.audio.source import AudioSource, Channel
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.data.utterance_ids import is_utf8
from mrlspk.inference.audio_content import AudioContent, file_state, read_content
from mrlspk.inference.backend import Backend
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cache_entries import Entry, KnownFile
from mrlspk.inference.recording import Recording

FORMAT = 2  # rises when equal audio and settings give other embeddings, or entries get another form
RECORDINGS_PER_LOOKUP = 500
WRITE_EVERY_SECONDS = 5.0  # a killed run loses no more than this
WRITE_EVERY_ENTRIES = 2000
WHOLE = 0.0, None

type OnFound = Callable[[Mapping[Recording, Entry]], None]


class CacheLookup:
    """The cache as one model sees it during one run.

    Args:
        cache: The embeddings.
        backend: The model.
        max_seconds: Longer recordings are embedded in averaged windows.
        speech: Finds the speech, which alone is embedded; None if all audio is.
    """

    def __init__(
        self, cache: EmbeddingCache, backend: Backend, *, max_seconds: float, speech: SpeechDetector | None = None
    ) -> None:
        self._cache, self._detector = cache, speech.version if speech else None
        self._model, self._runtime, self._max_seconds = backend.fingerprint, tuple(backend.runtime.items()), max_seconds
        self._asked: set[bytes] = set()
        self._awaited: dict[Recording, tuple[bytes, AudioContent]] = {}
        self._repeats: list[Recording] = []
        self._entries: dict[bytes, Entry] = {}
        self._files: dict[bytes, KnownFile] = {}
        self._written = time.monotonic()

    def missing(self, recordings: Iterable[Recording], on_found: OnFound) -> Iterator[Recording]:
        """Yield the recordings to embed, in order; of recordings with the same content only the first."""
        for recording, key in self._look_up(recordings, on_found):
            if key in self._asked:
                self._repeats.append(recording)
            else:
                self._asked.update([key] if key else [])
                yield recording

    def still_missing(self, on_found: OnFound) -> Iterator[Recording]:
        """Yield the repeats whose first recording could not be embedded, or was not kept."""
        self._write()
        for recording, _ in self._look_up(self._repeats, on_found):
            yield recording

    def keep(self, recording: Recording, entry: Entry) -> None:
        """Keep the result of a recording, if its file still has the content that was looked up."""
        key, content = self._awaited.pop(recording, (b"", None))
        if content is not None and content.still_holds():
            self._entries[key] = entry
            self._write_if_due()

    def close(self) -> None:
        """Write all that is not written yet."""
        self._write()
        self._cache.close()

    def _look_up(self, recordings: Iterable[Recording], on_found: OnFound) -> Iterator[tuple[Recording, bytes | None]]:
        """Yield each recording that is not in the cache, with its key; an unreadable file has none."""
        for some in batched(recordings, RECORDINGS_PER_LOOKUP):
            contents = self._contents({recording.source for recording in some})
            keys = {each: self._key(each, contents[each.source]) for each in some if each.source in contents}
            known = self._cache.find(set(keys.values()))
            on_found({recording: known[key] for recording, key in keys.items() if key in known})
            for recording in some:
                key = keys.get(recording)
                if key in known:
                    continue
                if key is not None:
                    self._awaited[recording] = key, contents[recording.source]
                yield recording, key
            self._write_if_due()

    def _contents(self, sources: Iterable[AudioSource]) -> dict[AudioSource, AudioContent]:
        """Return the contents of sources, reading only those that are new or have changed since they were hashed."""
        readable = [source for source in sources if is_utf8(str(source))]
        names = {source: os.fsencode(source.path.absolute()) for source in readable if source.path is not None}
        known = self._cache.find_files(names.values())
        found: dict[AudioSource, AudioContent] = {}
        for source in readable:
            name = names.get(source, b"")
            state, sha256 = known.get(name, (None, b""))
            if state is not None and file_state(source) == state:
                found[source] = AudioContent(source, sha256, state, settled=True)
            elif content := read_content(source):
                found[source] = content
                if content.state and content.settled:
                    self._files[name] = content.state, content.sha256
        return found

    def _key(self, recording: Recording, content: AudioContent) -> bytes:
        source = recording.source
        span = source.start_seconds, source.seconds
        settings = _settings_text(
            self._runtime,
            self._max_seconds,
            self._detector,
            recording.crop_seconds,
            span,
            source.channel,
        )
        return hashlib.sha256(f"{self._model} {content.sha256.hex()} {settings}".encode()).digest()

    def _write_if_due(self) -> None:
        due = time.monotonic() - self._written > WRITE_EVERY_SECONDS
        if due or len(self._entries) + len(self._files) > WRITE_EVERY_ENTRIES:
            self._write()

    def _write(self) -> None:
        self._cache.write(self._entries, self._files)
        self._entries, self._files = {}, {}
        self._written = time.monotonic()


@lru_cache
def _settings_text(
    runtime: tuple[tuple[str, str], ...],
    max_seconds: float,
    detector: str | None,
    crop_seconds: float | None,
    span: tuple[float, float | None],
    channel: Channel,
) -> str:
    """Return everything but model and audio on which an embedding depends, as JSON.

    Args:
        runtime: Of the backend.
        max_seconds: Of a window.
        detector: Version of the speech detector; None if all audio is embedded.
        crop_seconds: Of the recording.
        span: Start and length of its source within the encoded audio; (0, None) for all of it.
        channel: Of its source.
    """
    settings = {
        "format": FORMAT,
        "mrlspk": __version__,
        **dict(runtime),
        "max_seconds": float(max_seconds),
        "crop_seconds": None if crop_seconds is None else float(crop_seconds),
        "speech": detector,
        "channel": channel,
        **({} if span == WHOLE else {"span": span}),
    }
    return json.dumps(settings)
