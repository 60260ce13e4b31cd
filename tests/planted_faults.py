"""A corpus of good recordings with every fault twice, for the checks to find: all of them and nothing else."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from encoded_audio import write_lossy
from mrlspk.data.audio import load_audio

RATE = 16_000
N_GOOD = 500
GOOD_AAC, GOOD_WAV = ("train",), ("test", "test-short")
KNOWN_FAULTS = {  # speakers of the folders above whose recordings have a fault of their own, see docs/data.md
    "ls00150", "ls00198", "ls00211", "ls00445", "ls00839", "ls01363", "ls05192",
}  # fmt: skip

type Samples = np.ndarray


def link_good(speech: Path, root: Path) -> None:
    """Link 500 good recordings, half of them AAC, each speaker with at least two."""
    for folders, suffix in ((GOOD_AAC, ".m4a"), (GOOD_WAV, ".wav")):
        n_wanted = N_GOOD // 2
        for name, path in _files_of(speech, folders, suffix):
            if not n_wanted:
                break
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
            n_wanted -= 1
        assert not n_wanted


def _files_of(speech: Path, folders: tuple[str, ...], suffix: str) -> Iterator[tuple[str, Path]]:
    """Yield a name and the path of recordings, first two of each speaker."""
    later = []
    for folder in folders:
        for speaker in sorted(path for path in (speech / folder).iterdir() if path.is_dir()):
            files = sorted(speaker.rglob(f"*{suffix}"))
            if len(files) < 2 or speaker.name in KNOWN_FAULTS:
                continue
            named = [
                (f"{speaker.name}/{folder.replace('/', '-')}-{path.parent.name}/{path.name}", path) for path in files
            ]
            yield from named[:2]
            later += named[2:]
    yield from later


def _sources(speech: Path) -> Iterator[Samples]:
    """Yield recordings of speakers that are not among the good ones."""
    for speaker in sorted((speech / "train").glob("ls*"), reverse=True):
        if speaker.name not in KNOWN_FAULTS:
            yield load_audio(sorted(speaker.rglob("*.m4a"))[0], seconds=4.0).numpy()


def write(path: Path, samples: Samples, rate: int = RATE) -> None:
    """Write samples in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".m4a", ".mp3"}:
        write_lossy(path, samples, rate)
    else:
        soundfile.write(path, samples, rate)


def too_loud(samples: Samples) -> Samples:
    """Return a recording with so much gain that a fifth of it is clipped."""
    return np.clip(samples / np.quantile(np.abs(samples), 0.8), -1, 1)


def of_telephone(samples: Samples) -> Samples:
    """Return a recording that was sampled at 8 kHz."""
    return soxr.resample(soxr.resample(samples, RATE, 8_000), 8_000, RATE)


def dither(samples: Samples) -> Samples:
    """Return the dither of 16 bits."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, 2, samples.size) - rng.integers(0, 2, samples.size)) / 32_768


CHANGED: dict[str, tuple[tuple[str, Callable[[Samples], Samples], int], ...]] = {  # kind: suffix, change, rate
    "too_short": ((".wav", lambda x: x[:200], RATE), (".flac", lambda x: x[:100], RATE)),
    "silent": ((".wav", np.zeros_like, RATE), (".flac", dither, RATE), (".m4a", dither, RATE)),
    "clipped": ((".wav", too_loud, RATE), (".flac", lambda x: 0.3 * too_loud(x), RATE), (".m4a", too_loud, RATE)),
    "dc_offset": ((".wav", lambda x: x + 0.1, RATE), (".m4a", lambda x: x - 0.1, RATE)),
    "band_limited": ((".wav", of_telephone, RATE), (".m4a", of_telephone, RATE), (".mp3", of_telephone, RATE)),
    "sample_rate": (
        (".wav", lambda x: soxr.resample(x, RATE, 8_000), 8_000),
        (".m4a", lambda x: soxr.resample(x, RATE, 8_000), 8_000),
    ),
    "other_rate": ((".wav", np.array, 48_000), (".m4a", lambda x: soxr.resample(x, RATE, 44_100), 44_100)),
    "out_of_range": ((".wav", lambda x: x * 32_768, RATE), (".wav", lambda x: x * 20_000, RATE)),
}


def plant(speech: Path, root: Path) -> set[tuple[str, str]]:
    """Write every fault twice or more; return their kinds and places."""
    sources, planted = _sources(speech), set[tuple[str, str]]()
    for kind, cases in CHANGED.items():
        for number, (suffix, change, rate) in enumerate(cases):
            path = root / f"p-{kind}" / f"{number}{suffix}"
            subtype = {"subtype": "FLOAT"} if kind == "out_of_range" else None
            samples = change(next(sources))
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, samples, rate, **subtype) if subtype else write(path, samples, rate)
            planted.add((kind, f"p-{kind}/{path.name}"))
    for add in (_break_files, _cut, _understate, _repeat, _spread_channels, _name_oddly, _link, _leave_out):
        planted |= add(root, sources)
    return planted


def _break_files(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    folder = root / "p-unreadable"
    folder.mkdir()
    contents = {"1.wav": b"", "2.m4a": b"", "3.wav": b"This is text.\n" * 99, "4.m4a": os.urandom(9_000)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    write(folder / "5.wav", np.where(np.arange(RATE) == 99, np.nan, next(sources)[:RATE]))
    return {("unreadable", f"p-unreadable/{name}") for name in contents}


def _cut(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    names = "1.wav", "2.m4a", "3.flac", "4.mp3"
    for name in names:
        path = root / "p-cut" / name
        write(path, next(sources))
        os.truncate(path, path.stat().st_size // 2)
    return {("unreadable", f"p-cut/{name}") for name in names}


def _understate(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    """Write FLAC whose header counts one second, though there are four."""
    paths = root / "p-duration/1.flac", root / "p-duration/2.flac"
    for path in paths:
        write(path, next(sources))
        content = bytearray(path.read_bytes())
        fields = int.from_bytes(content[18:26], "big")  # the last 36 bits count the samples
        content[18:26] = ((fields >> 36 << 36) + RATE).to_bytes(8, "big")
        path.write_bytes(content)
    return {("duration", f"p-duration/{path.name}") for path in paths}


def _repeat(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    """Put recordings under a second speaker: as they are, and in another encoding, level and delay."""
    one, other = root / "p-same-1", root / "p-same-2"
    for number in range(2):
        write(one / f"{number}.wav", next(sources))
        other.mkdir(exist_ok=True)
        shutil.copy(one / f"{number}.wav", other / f"{number}.wav")
    for name in ("2.m4a", "3.mp3", "4.ogg", "5.flac"):
        samples = next(sources)
        write(one / name.replace(Path(name).suffix, ".wav"), samples)
        write(other / name, 0.5 * np.concatenate([np.zeros(800), samples]))
    files = [*one.iterdir(), *other.iterdir()]
    return {("same_audio", str(path.relative_to(root))) for path in files}


def _spread_channels(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    found = set()
    for kind in ("channels", "channels_differ", "channels_cancel"):
        for number in range(2):
            left, right = next(sources), next(sources)
            right = {"channels": left, "channels_differ": right[: len(left)], "channels_cancel": -left}[kind]
            write(root / f"p-{kind}/{number}.wav", np.stack([left[: len(right)], right], axis=1))
            found.add((kind, f"p-{kind}/{number}.wav"))
    return found


def _name_oddly(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    found = set()
    for name, place in (("one two.wav", "one two.wav"), (os.fsdecode(b"caf\xe9.wav"), "caf\\xe9.wav")):
        write(root / "p-name/new.wav", next(sources))
        (root / "p-name/new.wav").rename(root / "p-name" / name)
        found.add(("name", f"p-name/{place}"))
    for name in ("B.wav", "b.wav"):
        write(root / "p-case" / name, next(sources))
    for speaker in ("p-Folder", "p-folder"):
        for number in range(2):
            write(root / speaker / f"{number}.wav", next(sources))
    for number in range(2):
        write(root / f"p-alone-{number}" / "1.wav", next(sources))
        found.add(("one_file_speaker", f"p-alone-{number}"))
        samples = next(sources)
        write(root / "p-twice" / f"{number}.wav", samples)
        write(root / "p-twice" / f"{number}.flac", samples)
        found.add(("duplicate", f"p-twice/{number}.wav"))
    return found | {("case_clash", "p-case/b.wav"), ("case_clash", "p-folder")}


def _link(root: Path, _: Iterator[Samples]) -> set[tuple[str, str]]:
    names = "1.wav", "2.m4a"
    (root / "p-link").mkdir()
    for name in names:
        (root / "p-link" / name).symlink_to("nowhere")
    return {("broken_link", f"p-link/{name}") for name in names}


def _leave_out(root: Path, sources: Iterator[Samples]) -> set[tuple[str, str]]:
    """Write headerless audio, audio in no speaker's folder, and text, which is nobody's fault."""
    (root / "p-alone-0/2.raw").write_bytes(bytes(9_000))
    (root / "p-alone-0/3.pcm").write_bytes(bytes(9_000))
    (root / "p-alone-0/1.txt").write_text("what was said\n")
    for name in ("1.wav", "2.wav"):
        write(root / name, next(sources))
    return {("format", "p-alone-0/2.raw"), ("layout", "1.wav"), ("layout", "2.wav")}
