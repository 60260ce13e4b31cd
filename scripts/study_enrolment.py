"""Measure condition profiles, and remarks on wrong speakers, on real speech.

``embed`` embeds recordings of several corpora as they are, over a telephone and across a room. ``show`` plants wrong
speakers among them and counts how many are found, and compares voices of one mean with voices of several profiles.

Example:
    python scripts/study_enrolment.py embed MODEL vectors.npz --speech FOLDER
    python scripts/study_enrolment.py show vectors.npz
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal
import soxr
from numpy.typing import NDArray

import mrlspk
from mrlspk.data.audio import open_audio
from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.index.enrolment.groups import find_centre
from mrlspk.index.enrolment.mean_vectors import mean_vector
from mrlspk.index.enrolment.outliers import find_outliers
from mrlspk.index.enrolment.profiles import group_by_condition
from mrlspk.metrics.eer import equal_error_rate

SEED = 20
CORPORA = "more/so762-en-adult", "more/speechcmd-en", "more/alnum-en", "train"
SPEAKERS, RECORDINGS = 60, 6  # of a corpus, and of a speaker
SAMPLE_RATE = 16_000
NOISE_DB = 15.0  # speech over noise across the room

CONDITIONS = "clean", "telephone", "room"
ENROLLED, QUERIES = 4, 2  # recordings of a voice in each condition

type Waveform = NDArray[np.float32]
type Group = Callable[[NDArray[np.float32]], NDArray[np.int64]]  # unit vectors to the profile of each


def main() -> None:
    """Run the stage that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    stages = parser.add_subparsers(dest="stage", required=True)
    embed = stages.add_parser("embed")
    embed.add_argument("model")
    embed.add_argument("output", type=Path)
    embed.add_argument("--speech", type=Path, required=True)
    show = stages.add_parser("show")
    show.add_argument("vectors", type=Path, nargs="+")
    args = parser.parse_args()
    if args.stage == "embed":
        embed_conditions(args.model, args.output, args.speech)
        return
    for path in args.vectors:
        rows = Rows.load(path)
        print(f"\n{path.stem}")
        show_outliers(rows)
        show_profiles(rows)


def embed_conditions(model: str, output: Path, speech: Path) -> None:
    """Write the vectors, speakers, sessions, conditions and seconds of speech of the sample."""
    encoder = mrlspk.load(model)
    rows = list(sample(speech))
    waveforms = [read(speech / corpus / utterance) for corpus, utterance in rows]
    columns: dict[str, list[object]] = {name: [] for name in ("corpus", "id", "condition", "seconds", "vectors")}
    rng = np.random.default_rng(SEED)
    responses = [read(path) for path in sorted((speech / "rirs").rglob("*.wav"))]
    noises = [read(path) for path in sorted((speech / "musan").rglob("*.wav"))]
    conditions = {
        "clean": (SAMPLE_RATE, waveforms),
        "telephone": (8000, [telephone(each) for each in waveforms]),
        "room": (SAMPLE_RATE, [room(each, responses, noises, rng) for each in waveforms]),
    }
    for condition, (rate, audio) in conditions.items():
        for (corpus, utterance), found in zip(rows, encoder.embed_many(audio, sample_rate=rate), strict=True):
            if found.embedding is None or not found.speech_seconds:
                continue
            values = corpus, utterance, condition, found.speech_seconds, found.embedding
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    np.savez(output, **{name: np.array(values) for name, values in columns.items()})


def sample(speech: Path) -> Iterator[tuple[str, str]]:
    """Yield corpus and id of the recordings of the sample: of a speaker, from as many sessions as there are."""
    rng = np.random.default_rng(SEED)
    for corpus in CORPORA:
        by_speaker: dict[str, list[str]] = {}
        for utterance in FolderTree().list_utterances(speech / corpus).utterances:
            by_speaker.setdefault(utterance.speaker_id, []).append(utterance.utterance_id)
        able = sorted(speaker for speaker, ids in by_speaker.items() if len(ids) >= 3)
        for speaker in sorted(rng.permutation(able)[:SPEAKERS]):
            ids = sorted(by_speaker[speaker])
            places = np.linspace(0, len(ids) - 1, min(RECORDINGS, len(ids))).round().astype(int)
            yield from ((corpus, ids[place]) for place in places)


def read(path: Path) -> Waveform:
    """Return a recording at 16 kHz."""
    with open_audio(FileSource(str(path)), sample_rate=SAMPLE_RATE) as audio:
        return np.concatenate(list(audio.blocks()))


def telephone(waveform: Waveform) -> Waveform:
    """Return a recording at 8 kHz, from 300 to 3,400 Hz, by 8-bit mu-law."""
    narrow = soxr.resample(waveform, SAMPLE_RATE, 8000)
    band = scipy.signal.butter(6, [300, 3400], "bandpass", fs=8000, output="sos")
    narrow = scipy.signal.sosfilt(band, narrow)
    narrow = narrow / max(1e-6, np.abs(narrow).max()) * 0.5
    compressed = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    steps = np.round(compressed * 127) / 127
    return (np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255).astype(np.float32)


def room(waveform: Waveform, responses: list[Waveform], noises: list[Waveform], rng: np.random.Generator) -> Waveform:
    """Return a recording across a room with noise."""
    response, noise = responses[rng.integers(len(responses))], noises[rng.integers(len(noises))]
    wet = scipy.signal.fftconvolve(waveform, response)[: len(waveform)]
    noise = np.resize(np.roll(noise, rng.integers(len(noise))), len(wet))
    gain = np.sqrt(np.mean(wet**2) / max(1e-12, np.mean(noise**2)) / 10 ** (NOISE_DB / 10))
    mixed = wet + gain * noise
    return (mixed / max(1e-6, np.abs(mixed).max()) * 0.5).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Rows:
    """Embedded recordings: (rows,) each, vectors (rows, dim) at unit length."""

    corpora: NDArray[np.str_]
    speakers: NDArray[np.str_]
    conditions: NDArray[np.str_]
    seconds: NDArray[np.float64]
    vectors: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> "Rows":
        """Read what ``embed`` wrote."""
        file = np.load(path)
        speakers = np.array(
            [f"{corpus}/{id_.split('/')[0]}" for corpus, id_ in zip(file["corpus"], file["id"], strict=True)]
        )
        return cls(file["corpus"], speakers, file["condition"], file["seconds"], file["vectors"])

    def of(self, speaker: str, condition: str) -> NDArray[np.int64]:
        """Return the rows of a speaker in a condition."""
        return np.flatnonzero((self.speakers == speaker) & (self.conditions == condition))

    def names(self, fewest: int) -> list[str]:
        """Return the speakers with so many recordings in each condition."""
        names = np.unique(self.speakers)
        return [each for each in names if all(len(self.of(each, condition)) >= fewest for condition in CONDITIONS)]

    def centre(self) -> NDArray[np.float32]:
        """Return the centre of an index of all speakers, as it is enrolled."""
        return find_centre(np.stack([self.vectors[self.of(each, "clean")[0]] for each in np.unique(self.speakers)]))


def show_outliers(rows: Rows) -> None:
    """Print how many planted wrong speakers are found, and how often a recording of the voice itself is told."""
    rng, centre = np.random.default_rng(SEED), rows.centre()
    for count in (3, 5):
        names = rows.names(count)
        planted, told = 0, dict.fromkeys(CONDITIONS, 0)
        for name in names:
            clean = rows.of(name, "clean")
            alike = [each for each in names if each != name and each.rpartition("/")[0] == name.rpartition("/")[0]]
            wrong = rows.of(rng.choice(alike), "clean")[:1]
            planted += find_outliers(rows.vectors[[*clean[: count - 1], *wrong]], centre) == (count - 1,)
            for condition in CONDITIONS:
                other = rows.of(name, condition)[count - count // 2 : count]
                mixed = rows.vectors[[*clean[: count - count // 2], *other]]
                told[condition] += bool(find_outliers(mixed, centre))
        shares = ", ".join(f"half {condition} {share(number, len(names))}" for condition, number in told.items())
        print(f"{count} recordings: wrong speaker found {share(planted, len(names))}; told without one: {shares}")


def show_profiles(rows: Rows) -> None:
    """Print error rates of voices of one mean and of several profiles, with queries of both conditions."""
    names = rows.names(ENROLLED + QUERIES)
    groups: dict[str, Group] = {
        "one mean": lambda vectors: np.zeros(len(vectors), np.int64),
        "auto": lambda vectors: group_by_condition(vectors, limit="auto", centre=centre),
        "two": lambda vectors: group_by_condition(vectors, limit=2, centre=centre),
    }
    centre = rows.centre()
    print(f"{len(names)} voices, {2 * QUERIES} queries each")
    for enrolment in ("all clean", "all clean and telephone", "half of them also telephone"):
        for policy, group in groups.items():
            print(f"{enrolment:28s} {policy:9s} {measure(rows, names, enrolment, group)}")


def measure(rows: Rows, names: list[str], enrolment: str, group: Group) -> str:
    """Return the share of voices with several profiles, EER, misses at 0.1 % false alarms, and errors at rank 1."""
    profiles, owners, queries, speakers = [], [], [], []
    for number, name in enumerate(names):
        enrolled = rows.of(name, "clean")[:ENROLLED]
        if enrolment == "all clean and telephone" or (enrolment.startswith("half") and number % 2):
            enrolled = np.concatenate([enrolled, rows.of(name, "telephone")[:ENROLLED]])
        labels = group(rows.vectors[enrolled])
        for label in np.unique(labels):
            kept = enrolled[labels == label]
            profiles.append(mean_vector(rows.vectors[kept], rows.seconds[kept], name))
            owners.append(number)
        asked = [row for condition in ("clean", "telephone") for row in rows.of(name, condition)[ENROLLED:][:QUERIES]]
        queries += asked
        speakers += [number] * len(asked)
    cosines = rows.vectors[queries] @ np.stack(profiles).T
    best = np.stack([cosines[:, np.array(owners) == number].max(1) for number in range(len(names))], axis=1)
    own = np.arange(len(names)) == np.array(speakers)[:, None]
    eer = equal_error_rate(best.ravel(), own.ravel())
    missed = np.mean(best[own] < np.quantile(best[~own], 0.999))
    wrong = np.mean(best.argmax(1) != np.array(speakers))
    several = np.mean(np.bincount(owners) > 1)
    return f"several {several:4.0%}  EER {eer:6.2%}  missed at 0.1 % {missed:6.2%}  wrong at rank 1 {wrong:6.2%}"


def share(number: int, of: int) -> str:
    """Return a share in per cent."""
    return f"{number / of:.1%} of {of}"


if __name__ == "__main__":
    main()
