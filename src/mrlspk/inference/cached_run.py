"""What one run of a model asks of the cache, and leaves in it."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import batched
from pathlib import Path

import torch

from mrlspk import __version__
from mrlspk.data.utterance_ids import is_utf8
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cache_database import KnownFile
from mrlspk.inference.content import Content, file_state, read_content
from mrlspk.inference.fingerprint import model_fingerprint
from mrlspk.inference.kept import Kept
from mrlspk.inference.recording import Recording
from mrlspk.models.encoder import Encoder

FORMAT = 1  # rises when the same audio and settings come to give other embeddings, or entries another form
RECORDINGS_PER_LOOK = 500
WRITE_EVERY_SECONDS = 5.0  # the most that a killed run has to do again
WRITE_EVERY_ENTRIES = 2000


class CachedRun:
    """Tells what a model has embedded before, and keeps what it embeds now.

    Args:
        cache: Where embeddings are.
        encoder: In evaluation mode, on its device.
        max_seconds: Longer recordings are embedded in averaged windows.
    """

    def __init__(self, cache: EmbeddingCache, encoder: Encoder, *, max_seconds: float) -> None:
        self._cache = cache
        self._model, self._max_seconds = model_fingerprint(encoder), max_seconds
        self._device = next(encoder.parameters()).device.type
        self._asked: set[bytes] = set()
        self._awaited: dict[str, tuple[bytes, Content]] = {}
        self._repeats: dict[str, Recording] = {}
        self._kept: dict[bytes, Kept] = {}
        self._files: dict[bytes, KnownFile] = {}
        self._written = time.monotonic()

    def missing(
        self, recordings: Mapping[str, Recording], on_found: Callable[[Mapping[str, Kept]], None]
    ) -> Iterator[tuple[str, Recording]]:
        """Yield what has to be embedded, in order; of recordings with the same content the first only."""
        for file_id, recording, key in self._look_up(recordings.items(), on_found):
            if key in self._asked:
                self._repeats[file_id] = recording
            else:
                self._asked.update([key] if key else [])
                yield file_id, recording

    def still_missing(self, on_found: Callable[[Mapping[str, Kept]], None]) -> Iterator[tuple[str, Recording]]:
        """Yield what has the content of another that was embedded since, but could not be or was not kept."""
        self._write()
        for file_id, recording, _ in self._look_up(self._repeats.items(), on_found):
            yield file_id, recording

    def keep(self, file_id: str, kept: Kept) -> None:
        """Keep what was made of a recording, if its file is still the one that was looked up."""
        key, content = self._awaited.pop(file_id, (b"", None))
        if content is not None and content.still_holds():
            self._kept[key] = kept
            self._write_if_due()

    def close(self) -> None:
        """Write what is not written yet."""
        self._write()
        self._cache.close()

    def _look_up(
        self, recordings: Iterable[tuple[str, Recording]], on_found: Callable[[Mapping[str, Kept]], None]
    ) -> Iterator[tuple[str, Recording, bytes | None]]:
        """Yield what is not in the cache, with its key; a file that cannot be read has none."""
        for some in batched(recordings, RECORDINGS_PER_LOOK):
            contents = self._contents({recording.path for _, recording in some})
            keys = {id: self._key(each, contents[each.path]) for id, each in some if each.path in contents}
            known = self._cache.find(set(keys.values()))
            on_found({file_id: known[key] for file_id, key in keys.items() if key in known})
            for file_id, recording in some:
                key = keys.get(file_id)
                if key in known:
                    continue
                if key is not None:
                    self._awaited[file_id] = key, contents[recording.path]
                yield file_id, recording, key
            self._write_if_due()

    def _contents(self, paths: Iterable[Path]) -> dict[Path, Content]:
        """Return what files hold, reading only those that are new or have changed since they were hashed."""
        names = {path: os.fsencode(path.absolute()) for path in paths if is_utf8(str(path))}
        known = self._cache.find_files(names.values())
        found: dict[Path, Content] = {}
        for path, name in names.items():
            state, sha256 = known.get(name, (None, b""))
            if state is not None and file_state(path) == state:
                found[path] = Content(path, sha256, state, settled=True)
            elif content := read_content(path):
                found[path] = content
                if content.settled:
                    self._files[name] = content.state, content.sha256
        return found

    def _key(self, recording: Recording, content: Content) -> bytes:
        suffix = recording.path.suffix.lower()  # which decides the decoder
        how = _settings_text(self._device, self._max_seconds, recording.crop_seconds, suffix)
        return hashlib.sha256(f"{self._model} {content.sha256.hex()} {how}".encode()).digest()

    def _write_if_due(self) -> None:
        due = time.monotonic() - self._written > WRITE_EVERY_SECONDS
        if due or len(self._kept) + len(self._files) > WRITE_EVERY_ENTRIES:
            self._write()

    def _write(self) -> None:
        self._cache.write(self._kept, self._files)
        self._kept, self._files = {}, {}
        self._written = time.monotonic()


@lru_cache
def _settings_text(device: str, max_seconds: float, crop_seconds: float | None, suffix: str) -> str:
    """Return everything but model and audio on which an embedding depends."""
    settings = {
        "format": FORMAT,
        "mrlspk": __version__,
        "torch": torch.__version__,
        "device": device,
        "max_seconds": float(max_seconds),
        "crop_seconds": None if crop_seconds is None else float(crop_seconds),
        "suffix": suffix,
    }
    return json.dumps(settings)
