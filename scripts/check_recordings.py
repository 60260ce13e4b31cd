"""Measure what speech detection does to embeddings of real speech, and print the tables of docs/studies.

    .venv/bin/python scripts/check_recordings.py --shared ../shared [--part silence --part lists …]

silence    Pads utterances of ten test speakers with silence, noise or hum and embeds them: pairs accepted at the
           threshold calibrated with the same detector, and the cosine of a padded file to itself.
lists      Scores the trial lists with and without detection.
detectors  Compares what each detector finds in speech under noise, over a telephone and so on with where the speech is.
long       Embeds one minute and three hours in processes of their own and compares their peak memory.

Exits with 1 if padding lets a pair of different speakers be accepted, a padded file has a cosine below 0.98 to itself,
or three hours take more than 1.2 times the memory of one minute. All parts take about a quarter of an
hour on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio.source import FileSource
from mrlspk.data.speech.build import build_detector
from mrlspk.inference.backend import Backend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.model_file import locate_model
from mrlspk.inference.recording import Recording

RATE = 16_000
MODES: tuple[SpeechMode, ...] = ("auto", "silero", "all")
MODEL = Path("pretrained", "redimnet-small-speech.pt")
LISTS = {"english": "test", "crosslingual": "test", "short": "test-short"}
PADDED_SECONDS = (5, 20, 60, 110)
P_TARGET = 0.01
N_PAIRS = 20
SELF_COSINE = 0.98
MEMORY_RATIO = 1.2

type Waveform = NDArray[np.float32]


def mrlspk(*arguments: object) -> dict[str, Any]:
    """Run a command with ``--json`` and return its document."""
    return json.loads(run_measured(*arguments)[0])  # type: ignore[no-any-return]


def run_measured(*arguments: object) -> tuple[str, float]:
    """Run a command with ``--json``; return its output and the peak of its memory in MiB."""
    command = [sys.executable, "-m", "mrlspk", *map(str, arguments), "--json", "--quiet"]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
        output.seek(0)
        return output.read(), usage.ru_maxrss / 1024


def read(path: Path) -> Waveform:
    """Return the samples of a file at 16 kHz."""
    waveform: Waveform = soundfile.read(path, dtype="float32")[0]
    return waveform


def table(*rows: tuple[object, ...]) -> None:
    """Print rows as Markdown; the first is the head."""
    for number, row in enumerate(rows):
        print("|", " | ".join(map(str, row)), "|")
        if number == 0:
            print("|" + "---|" * len(row))
    print(flush=True)


# --- silence ----------------------------------------------------------------------------------------------------------


def chosen_files(speech: Path) -> list[Path]:
    """Return the first two utterances of each test speaker, of two sessions if there are."""
    found = []
    for speaker in sorted((speech / "test").iterdir()):
        sessions = sorted(speaker.iterdir())
        files = sorted(speaker.rglob("*.wav")) if len(sessions) == 1 else [min(s.glob("*.wav")) for s in sessions]
        found += files[:2]
    return found


def trials(files: list[Path]) -> tuple[list[tuple[Path, Path]], list[tuple[Path, Path]]]:
    """Return the pairs of one speaker, and `N_PAIRS` evenly chosen pairs of different speakers of one language."""

    def speaker(path: Path) -> str:
        return path.parent.parent.name

    pairs = list(combinations(files, 2))
    same = [(a, b) for a, b in pairs if speaker(a) == speaker(b)]
    different = [(a, b) for a, b in pairs if speaker(a) != speaker(b) and speaker(a)[:2] == speaker(b)[:2]]
    return same, different[:: len(different) // N_PAIRS][:N_PAIRS]


def padding(kind: str, n_samples: int, seed: int) -> Waveform:
    """Return digital silence, white noise at -70 dB or 50 Hz hum at -54 dB (samples,)."""
    if kind == "silence":
        return np.zeros(n_samples, np.float32)
    if kind == "noise":
        return (10 ** (-70 / 20) * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)
    time = np.arange(n_samples) / RATE
    return (10 ** (-54 / 20) * np.sqrt(2) * np.sin(2 * np.pi * 50 * time)).astype(np.float32)


def write_padded(folder: Path, files: list[Path], kind: str, side: str, seconds: float) -> None:
    """Write each file with so many seconds around it or after it, named by its place among the files."""
    for number, path in enumerate(files):
        waveform = read(path)
        n_samples = round(seconds * RATE)
        before = n_samples // 2 if side == "around" else 0
        parts = padding(kind, before, number), waveform, padding(kind, n_samples - before, number + 1000)
        soundfile.write(folder / f"{number}.wav", np.concatenate(parts), RATE)


def embed(folder: Path, backend: Backend, mode: SpeechMode) -> NDArray[np.float64]:
    """Return the unit vectors (files, dim) of the numbered files of a folder, as `mrlspk embed` makes them."""
    recordings = [Recording(FileSource(str(folder / f"{number}.wav"))) for number in range(len(list(folder.iterdir())))]
    done = embed_recordings(backend, recordings, batch_size=1, max_seconds=60, speech=build_detector(mode))
    vectors = np.array([done.embeddings[each].vector for each in recordings], np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def calibrated_threshold(model: Path, speech: Path, mode: SpeechMode, folder: Path) -> float:
    """Return the cosine above which two recordings are one speaker, fitted on two lists with the same detector."""
    out = folder / f"{mode}.json"
    fitted = (part for name in ("english", "crosslingual") for part in ("--trials", speech / f"trials-{name}.txt"))
    mrlspk("calibrate", model, *fitted, "--audio-root", speech / "test", "--speech", mode, "--no-cache",
           "--p-target", P_TARGET, "-o", out)  # fmt: skip
    width = json.loads(out.read_text())["widths"][-1]
    return float((np.log((1 - P_TARGET) / P_TARGET) - width["offset"]) / width["scale"])


def silence(shared: Path, modes: list[SpeechMode]) -> list[str]:
    """Print the worst of each length of padding, and every condition on stderr; return the limits that are missed."""
    files = chosen_files(shared / "speech")
    same, different = trials(files)
    backend = load_backend(locate_model(str(shared / MODEL), cache_dir=None), device="cpu").backend
    rows: dict[tuple[str, int], list[tuple[int, int, float]]] = {}
    missed = []
    for mode in modes:
        with tempfile.TemporaryDirectory() as name:
            threshold = calibrated_threshold(shared / MODEL, shared / "speech", mode, Path(name))
        plain: NDArray[np.float64] | None = None
        n_before = 0
        for kind, side, seconds in conditions(sides=("around", "after") if mode != "all" else ("around",)):
            with tempfile.TemporaryDirectory() as name:
                write_padded(Path(name), files, kind, side, seconds)
                vectors = embed(Path(name), backend, mode)
            plain = vectors if plain is None else plain
            wrong, right = (
                sum(vectors[files.index(a)] @ vectors[files.index(b)] >= threshold for a, b in pairs)
                for pairs in (different, same)
            )
            cosines = (vectors * plain).sum(axis=1)
            n_before = wrong if seconds == 0 else n_before
            label = "none" if seconds == 0 else f"{kind} {side}"
            print(mode, label, seconds, wrong, right, f"{cosines.min():.4f}", file=sys.stderr)
            rows.setdefault((mode, seconds), []).append((wrong, right, cosines.min()))
            if mode != "all" and (wrong > n_before or cosines.min() < SELF_COSINE):
                missed.append(f"{mode}, {seconds} s of {label}: {wrong} accepted, cosine {cosines.min():.4f}")
        print(f"{mode}: threshold {threshold:.3f}", file=sys.stderr)
    heads = "different accepted, at most", "same accepted, at least", "cosine to itself, at least"
    found = ((wrong, right, f"{cosine:.3f}") for wrong, right, cosine in map(worst, rows.values()))
    table(("detector", "seconds", *heads), *((*key, *values) for key, values in zip(rows, found, strict=True)))
    return missed


def worst(results: list[tuple[int, int, float]]) -> tuple[int, int, float]:
    """Return the most accepted wrongly, the fewest accepted rightly and the least cosine."""
    wrong, right, cosines = zip(*results, strict=True)
    return max(wrong), min(right), min(cosines)


def conditions(*, sides: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    """Yield kind, side and seconds of padding; without padding first."""
    yield "silence", "around", 0
    for kind in ("silence", "noise", "hum"):
        for side in sides:
            for seconds in PADDED_SECONDS:
                yield kind, side, seconds


# --- lists ------------------------------------------------------------------------------------------------------------


def lists(shared: Path, modes: list[SpeechMode]) -> None:
    """Print the EER of the small backbone on the lists, and the share of the audio that is left out."""
    speech = shared / "speech"
    flags = [part for name in LISTS for part in ("--trials", speech / f"trials-{name}.txt")]
    flags += [part for root in LISTS.values() for part in ("--audio-root", speech / root)]
    rows: list[tuple[object, ...]] = [("detector", *(f"{name}, {dim}" for name in LISTS for dim in (192, 64)), "cut")]
    for mode in modes:
        scored = mrlspk("eval", shared / MODEL, *flags, "--speech", mode, "--dims", "64,192", "--allow-untrained-dim",
                        "--no-cache")  # fmt: skip
        rates = [f"{100 * result['eer']:.2f}" for each in scored["trials"] for result in each["results"][::-1]]
        items = mrlspk("embed", speech / "test", "--model", shared / MODEL, "--speech", mode)["embeddings"]
        kept = sum(each["seconds"] if each["speech_seconds"] is None else each["speech_seconds"] for each in items)
        rows.append((mode, *rates, f"{100 * (1 - kept / sum(each['seconds'] for each in items)):.1f} %"))
    table(*rows)


# --- detectors --------------------------------------------------------------------------------------------------------


def find(mode: SpeechMode, waveform: Waveform) -> NDArray[np.bool_]:
    """Return which samples (samples,) a detector takes for speech."""
    detector = build_detector(mode)
    assert detector is not None
    search = detector.search()
    search.add(waveform)
    marked = np.zeros(len(waveform), bool)
    for start, end in search.intervals():
        marked[start:end] = True
    return marked


def with_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Return the sum at a ratio of the mean powers; the padding of the waveform does not count."""
    noise = np.resize(noise, len(waveform))
    gain = np.sqrt(np.mean(waveform[waveform != 0] ** 2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (waveform + gain * noise).astype(np.float32)


def over_telephone(waveform: Waveform) -> Waveform:
    """Return the waveform after 8 kHz and 8-bit mu-law."""
    narrow = np.clip(soxr.resample(waveform, RATE, 8000), -1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    decoded = np.sign(coded) * (256 ** np.abs(coded) - 1) / 255
    return np.resize(soxr.resample(decoded.astype(np.float32), 8000, RATE), len(waveform))


def distortions(shared: Path) -> dict[str, Callable[[Waveform], Waveform]]:
    """Return what is done to ten seconds of padding, an utterance and padding, by name."""
    white = np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32)
    noises = sorted((shared / "speech" / "musan" / "noise").rglob("*.wav"))
    found: dict[str, Callable[[Waveform], Waveform]] = {
        "as it is": lambda x: x,
        "20 dB lower": lambda x: 0.1 * x,
        "40 dB lower": lambda x: 0.01 * x,
        "telephone": over_telephone,
        "white noise, 20 dB": lambda x: with_noise(x, white, 20),
        "white noise, 10 dB": lambda x: with_noise(x, white, 10),
        "white noise, 5 dB": lambda x: with_noise(x, white, 5),
    }
    return found | {f"{path.stem}, 10 dB": lambda x, path=path: with_noise(x, read(path), 10) for path in noises}


def detectors(shared: Path, modes: list[SpeechMode]) -> None:
    """Print how much speech each detector misses, and how much of ten seconds before and after it calls speech.

    Speech is what Silero VAD finds in the utterance as it is. Noise covers speech and padding at a ratio to the speech.
    """
    pad = np.zeros(10 * RATE, np.float32)
    waveforms = [read(path) for path in chosen_files(shared / "speech")]
    truth = [find("silero", each) for each in waveforms]
    names = [mode for mode in modes if mode != "all"]
    rows: list[tuple[object, ...]] = [
        ("recording", *(f"{mode}: {what}" for mode in names for what in ("speech missed", "padding kept")))
    ]
    for name, distort in distortions(shared).items():
        row: list[object] = [name]
        for mode in names:
            missed, kept = [], []
            for waveform, speech in zip(waveforms, truth, strict=True):
                marked = find(mode, distort(np.concatenate((pad, waveform, pad))))
                inner = marked[len(pad) : -len(pad)]
                missed.append((speech & ~inner).sum() / speech.sum())
                kept.append((marked.sum() - inner.sum()) / (2 * len(pad)))
            row += [f"{100 * np.mean(missed):.1f} %", f"{100 * np.mean(kept):.1f} %"]
        rows.append(tuple(row))
    table(*rows)


# --- long -------------------------------------------------------------------------------------------------------------


def write_long(path: Path, shared: Path, seconds: float) -> None:
    """Write utterances of the test speakers one after the other until so many seconds are reached."""
    utterances = [read(each) for each in chosen_files(shared / "speech")]
    n_left, number = round(seconds * RATE), 0
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        while n_left:
            part = utterances[number % len(utterances)][:n_left]
            file.write(part)
            n_left, number = n_left - len(part), number + 1


def long(shared: Path, modes: list[SpeechMode], *, hours: float) -> list[str]:
    """Print the peak memory of embedding one minute and some hours; return the limits that are missed."""
    missed = []
    rows: list[tuple[object, ...]] = [("detector", "one minute, MiB", f"{hours:g} hours, MiB", "ratio")]
    with tempfile.TemporaryDirectory() as name:
        short, whole = Path(name, "minute.flac"), Path(name, "hours.flac")
        write_long(short, shared, 60)
        write_long(whole, shared, 3600 * hours)
        for mode in modes:
            flags = "--model", shared / MODEL, "--speech", mode
            peaks = [run_measured("embed", path, *flags)[1] for path in (short, whole)]
            rows.append((mode, *(f"{peak:.0f}" for peak in peaks), f"{peaks[1] / peaks[0]:.2f}"))
            if peaks[1] > MEMORY_RATIO * peaks[0]:
                missed.append(f"{mode}: {peaks[1]:.0f} MiB for {hours:g} hours, {peaks[0]:.0f} MiB for one minute")
    table(*rows)
    return missed


def main() -> int:
    """Measure the parts asked for; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MRLSPK_SHARED", "../shared")))
    parser.add_argument("--part", action="append", choices=("silence", "lists", "detectors", "long"))
    parser.add_argument("--speech", action="append", choices=MODES, help="detectors to measure; repeatable")
    parser.add_argument("--hours", type=float, default=3.0, help="length of the long file")
    arguments = parser.parse_args()
    shared, modes = arguments.shared, arguments.speech or list(MODES)
    parts = arguments.part or ["silence", "lists", "detectors", "long"]
    missed: list[str] = []
    if "silence" in parts:
        missed += silence(shared, modes)
    if "lists" in parts:
        lists(shared, modes)
    if "detectors" in parts:
        detectors(shared, modes)
    if "long" in parts:
        missed += long(shared, [mode for mode in modes if arguments.speech or mode == "auto"], hours=arguments.hours)
    print(*(f"missed: {line}" for line in missed), sep="\n", end="\n" if missed else "", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
