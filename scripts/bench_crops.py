"""Measure how many training crops one core cuts, by format, as a Markdown table.

    scripts/bench_crops.py $MRLSPK_SHARED/speech --before OLD_CHECKOUT --torchcodec DIR

Real speech is joined to files of 20 s (and of 2 s, shorter than a crop) in each format, and packed into tars. Every
file is then cropped once a round, as in an epoch of a corpus with more files than a process remembers, from the warm
file cache. The contenders are processes that take turns, so that other load affects them equally: our loader, that of
an earlier checkout, and a loop that decodes the whole file and cuts it. The table shows medians over the rounds of the
time of the processor, all threads together. The last rows are crops with noise and reverberation, beside the
augmentation alone.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

RATE, CROP_SECONDS, LONG, SHORT = 16_000, 3.0, 20.0, 2.0
N_SAMPLES = round(RATE * CROP_SECONDS)
FORMATS = {  # name: suffix, seconds, Hz
    "WAV": (".wav", LONG, RATE),
    "FLAC": (".flac", LONG, RATE),
    "m4a": (".m4a", LONG, RATE),
    "MP3": (".mp3", LONG, RATE),
    "Opus": (".opus", LONG, 48_000),
    "WAV at 44.1 kHz": (".wav", LONG, 44_100),
    "WAV of 2 s": (".wav", SHORT, RATE),
    "FLAC of 2 s": (".flac", SHORT, RATE),
    "m4a of 2 s": (".m4a", SHORT, RATE),
}
PACKED = ("WAV", "FLAC", "m4a")
CODECS = {".m4a": ("ipod", "aac"), ".mp3": ("mp3", "libmp3lame"), ".opus": ("ogg", "libopus")}
AUGMENTED = ("WAV", "m4a")
BEFORE, NOW, WHOLE, CODEC = "before", "now", "whole file", "torchcodec, whole file"


def main() -> None:
    """Write the files, let the contenders take turns, print the table."""
    given = _arguments()
    if given.serve:
        _serve(given)
        return
    with TemporaryDirectory(prefix="crops-") as scratch:
        folder = given.work or Path(scratch)
        if not (folder / "done").exists():
            write_corpus(given.speech, folder, given.files)
        found = measure(given, folder)
    print_table(found)


def cases() -> list[str]:
    """Return the names of what is measured."""
    return [*FORMATS, *(f"{name} in tars" for name in PACKED)]


def write_corpus(speech: Path, folder: Path, n_files: int) -> None:
    """Write files of joined speech in every format, and tars of them."""
    joined = _join(speech)
    for name, (suffix, seconds, rate) in FORMATS.items():
        (folder / name).mkdir(parents=True)
        for number in range(n_files):
            start = round(number * RATE * 5) % (len(joined) - round(RATE * LONG))
            samples = joined[start : start + round(RATE * seconds)]
            _write(folder / name / f"{number:04d}{suffix}", samples, rate)
    for name in PACKED:
        with tarfile.open(folder / f"{name}.tar", "w") as tar:
            for path in sorted((folder / name).iterdir()):
                tar.add(path, path.name)
    (folder / "done").touch()


def _join(speech: Path) -> np.ndarray:
    from mrlspk.data.audio import load_audio

    paths = sorted(speech.glob("train/ls*/*/*.m4a"))[:120]
    return np.concatenate([load_audio(path).numpy() for path in paths])


def _write(path: Path, samples: np.ndarray, rate: int) -> None:
    import av
    import soundfile
    import soxr

    samples = soxr.resample(samples, RATE, rate) if rate != RATE else samples
    if path.suffix not in CODECS:
        soundfile.write(path, samples, rate, subtype="PCM_16")
        return
    container_name, codec = CODECS[path.suffix]
    with av.open(str(path), "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def measure(given: argparse.Namespace, folder: Path) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of a crop of each case and contender, one value a round."""
    contenders = {NOW: _start(given, folder, NOW), WHOLE: _start(given, folder, WHOLE)}
    if given.before:
        contenders[BEFORE] = _start(given, folder, BEFORE, path=given.before / "src")
    if given.torchcodec:
        contenders[CODEC] = _start(given, folder, CODEC)
    found: dict[tuple[str, str], list[float]] = {}
    wanted = given.only or [*cases(), *(f"{each}, augmented" for each in AUGMENTED), "augmentation"]
    for number in range(given.rounds + 1):
        for case in wanted:
            for name, process in contenders.items():
                seconds = _ask(process, case)
                if number and seconds is not None:  # the first round warms up
                    found.setdefault((case, name), []).append(seconds)
    for process in contenders.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    return found


def _start(given: argparse.Namespace, folder: Path, name: str, path: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, str(given.speech), "--work", str(folder), "--serve", name]
    command += ["--torchcodec", str(given.torchcodec)] if given.torchcodec else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": str(path)} if path else {})
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def _ask(process: subprocess.Popen[str], case: str) -> float | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(case + "\n")
    process.stdin.flush()
    answer = process.stdout.readline().strip()
    return None if answer == "-" else float(answer)


def _serve(given: argparse.Namespace) -> None:
    """Answer each case on standard input with the seconds of a crop, or - for a case that is not measured."""
    import torch

    torch.set_num_threads(1)
    contenders = {NOW: Ours, BEFORE: Ours, WHOLE: WholeFiles, CODEC: Torchcodec}
    contender = contenders[given.serve](given)
    for number, line in enumerate(sys.stdin):
        passes = contender.crops(line.strip(), number)
        if passes is None:
            print("-", flush=True)
            continue
        began, count = time.process_time(), 0
        for _ in passes:
            count += 1
        print((time.process_time() - began) / count, flush=True)


class Ours:
    """Our loader, of whichever checkout is imported."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._folder, self._speech = given.work, given.speech
        self._datasets: dict[str, Any] = {}

    def crops(self, case: str, number: int) -> Iterator[object] | None:
        """Yield a crop of every file of a case."""
        from mrlspk.data.crops.dataset import SampleKey

        if case == "augmentation":
            return self._augment_alone(number)
        if case not in self._datasets:
            self._datasets[case] = self._dataset(case)
        dataset = self._datasets[case]
        _forget()
        return (dataset[SampleKey(index, number, 0)] for index in range(len(dataset)))

    def _dataset(self, case: str) -> Any:
        from mrlspk.data.audio.source import FileSource, list_tar
        from mrlspk.data.crops.dataset import CropDataset
        from mrlspk.data.manifest import Manifest, Utterance

        name = case.removesuffix(", augmented")
        if name.endswith(" in tars"):
            sources = list_tar(self._folder / f"{name.removesuffix(' in tars')}.tar")
        else:
            sources = tuple(FileSource(str(path)) for path in sorted((self._folder / name).iterdir()))
        utterances = [Utterance(str(each), "a", "a", each) for each in sources]
        augmentation = self._augmentation() if case != name else None
        manifest = Manifest(self._folder / name, tuple(utterances))
        return CropDataset(manifest, crop_seconds=CROP_SECONDS, seed=0, augmentation=augmentation)

    def _augmentation(self) -> Any:
        from mrlspk.config.data import DataConfig
        from mrlspk.data.build import build_augmentation

        folders = {"musan_dataset": self._speech / "musan", "rir_dataset": self._speech / "rirs"}
        sure = dict.fromkeys(("musan_probability", "rir_probability"), 1.0)
        return build_augmentation(DataConfig(**folders, **sure, noise_probability=0, volume_probability=0))

    def _augment_alone(self, number: int) -> Iterator[object]:
        from mrlspk.data.crops.dataset import SampleKey, one_thread

        dataset, augmentation = self._dataset("WAV"), self._augmentation()
        crops = [dataset[SampleKey(index, 0, 0)][0] for index in range(len(dataset))]
        for index, crop in enumerate(crops):
            with one_thread():
                yield augmentation(crop, np.random.default_rng([0, number, index, 0]))


class WholeFiles:
    """Decode the whole file, and cut it."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._folder = given.work

    def crops(self, case: str, number: int) -> Iterator[object] | None:
        """Yield a crop of every file of a case; None if it has none."""
        name = case.removesuffix(" in tars")
        if name not in FORMATS or not self.reads(FORMATS[name][0]):
            return None
        rng = np.random.default_rng(number)
        return (_cut(self.decode(each), FORMATS[name][2], rng) for each in self._encoded(case, name))

    def reads(self, _suffix: str) -> bool:
        """Return whether it is measured on files of a suffix."""
        return True

    def decode(self, encoded: Any) -> np.ndarray:
        """Return (samples,) of a path, or of the bytes of a tar's member."""
        import soundfile

        path = encoded if isinstance(encoded, Path) else Path(encoded.name)
        if path.suffix not in CODECS:
            samples: np.ndarray = soundfile.read(encoded, dtype="float32")[0]
            return samples
        return _decode_with_av(encoded)

    def _encoded(self, case: str, name: str) -> Iterator[Any]:
        if case == name:
            yield from sorted((self._folder / name).iterdir())
            return
        with tarfile.open(self._folder / f"{name}.tar", "r:") as tar:
            members = tar.getmembers()
        for member in members:
            with (self._folder / f"{name}.tar").open("rb") as file:
                file.seek(member.offset_data)
                encoded = io.BytesIO(file.read(member.size))
            encoded.name = member.name
            yield encoded


class Torchcodec(WholeFiles):
    """Decode the whole file with torchcodec."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(given)
        sys.path.append(str(given.torchcodec))

    def reads(self, suffix: str) -> bool:
        """Return whether it is measured on files of a suffix."""
        return suffix in CODECS

    def decode(self, encoded: Any) -> np.ndarray:
        """Return (samples,)."""
        from torchcodec.decoders import AudioDecoder

        source = encoded if isinstance(encoded, Path) else encoded.getvalue()
        samples: np.ndarray = AudioDecoder(source).get_all_samples().data[0].numpy()
        return samples


def _decode_with_av(encoded: Any) -> np.ndarray:
    import av

    with av.open(encoded if not isinstance(encoded, Path) else str(encoded)) as container:
        container.streams.audio[0].thread_count = 1
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def _cut(samples: np.ndarray, rate: int, rng: np.random.Generator) -> Any:
    """Return (N_SAMPLES,) at 16 kHz."""
    import soxr
    import torch

    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    samples = np.resize(samples, N_SAMPLES) if len(samples) < N_SAMPLES else samples
    start = int(rng.integers(len(samples) - N_SAMPLES + 1))
    return torch.from_numpy(samples[start : start + N_SAMPLES])


def _forget() -> None:
    """Forget the lengths of files: a large corpus has more of them than a process remembers, and reads each rarely."""
    from mrlspk.data.audio import frame_counts

    frame_counts._counts.clear()


def print_table(found: dict[tuple[str, str], list[float]]) -> None:
    """Print milliseconds and crops a second, with the ratios to the other contenders."""
    medians = {key: statistics.median(seconds) for key, seconds in found.items()}
    print("| crops of 3 s from | ms a crop | crops/s a core | whole file, ms | ratio | before, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    for case in dict.fromkeys(case for case, _ in medians):
        now = medians[case, NOW]
        cells = [case, f"{1000 * now:.3f}", f"{1 / now:,.0f}"]
        wholes = [medians[case, name] for name in (WHOLE, CODEC) if (case, name) in medians]
        for other in (min(wholes, default=None), medians.get((case, BEFORE))):
            cells += ["", ""] if other is None else [f"{1000 * other:.3f}", f"{other / now:.2f}"]
        print(f"| {' | '.join(cells)} |")
    for case in AUGMENTED:
        if (f"{case}, augmented", NOW) in medians and ("augmentation", NOW) in medians:
            ratio = medians[f"{case}, augmented", NOW] / medians["augmentation", NOW]
            print(f"\n{case}: crop and augmentation take {ratio:.2f} times the augmentation alone.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder with train/, musan/ and rirs/")
    parser.add_argument("--before", type=Path, help="earlier checkout to compare with, such as a git worktree")
    parser.add_argument("--torchcodec", type=Path, help="folder in which torchcodec is installed")
    parser.add_argument("--files", type=int, default=64, help="of each format")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--work", type=Path, help="keep the files here; default: a temporary folder")
    parser.add_argument("--only", nargs="+", help="cases to measure")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
