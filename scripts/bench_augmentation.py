"""Measure what each kind of augmentation costs per crop on one core, as a Markdown table.

    scripts/bench_augmentation.py $MRLSPK_SHARED/speech

Crops are three seconds of real speech. Noises and room responses come from folders and from the files that
`mrlspk data pack-noise` makes of them. All kinds take turns, so that other load affects them equally; the table shows
medians over the rounds of the time of the processor.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torchaudio

from mrlspk.config.data import DataConfig
from mrlspk.data.audio import load_audio, random_crop
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.codecs import BIT_RATES, CODECS, Codec
from mrlspk.data.augmentation.speed import change_speed, samples_before_speed
from mrlspk.workflows.pack_noise import pack_noise

N_SAMPLES = 48_000
ALWAYS = {"noise_probability": 0.0, "volume_probability": 0.0, "musan_probability": 1.0, "rir_probability": 1.0}
CATEGORIES = "noise", "music", "speech"

type Kind = Callable[[np.random.Generator], object]


def main() -> None:
    """Let the kinds take turns, and print the table."""
    given = _arguments()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="noise-") as scratch:
        kinds = build_kinds(given.speech, Path(scratch))
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(given.rounds + 1):
            for name, apply in kinds.items():
                began = time.process_time()
                for crop in range(given.crops):
                    apply(np.random.default_rng([number, crop]))
                if number:  # the first round warms up
                    found[name].append((time.process_time() - began) / given.crops)
    print("| kind | ms a crop | crops/s a core |\n|---|---|---|")
    for name, seconds in found.items():
        median = statistics.median(seconds)
        print(f"| {name} | {1000 * median:.2f} | {1 / median:,.0f} |")


def build_kinds(speech: Path, scratch: Path) -> dict[str, Kind]:
    """Return what is measured, by its name in the table."""
    file = max((speech / "test").glob("ls*/*/*.wav"), key=lambda path: path.stat().st_size)
    crop = load_audio(file)[:N_SAMPLES]
    musan = arrange_musan(speech, scratch / "musan")
    packed = {name: scratch / f"{name}.bin" for name in ("musan", "rirs")}
    pack_noise([musan], packed["musan"])
    pack_noise([speech / "rirs"], packed["rirs"])
    kinds: dict[str, Kind] = {"decoding a crop of a WAV file": lambda rng: random_crop(file, N_SAMPLES, rng)}

    def add(name: str, **settings: object) -> None:
        augmentation = build_augmentation(DataConfig.model_validate(ALWAYS | settings))
        kinds[name] = lambda rng: augmentation(crop, rng)  # type: ignore[misc]

    for category, name in zip(CATEGORIES, ("noise", "music", "3 to 7 talkers"), strict=True):
        shares = {each: float(each == category) for each in CATEGORIES}
        for place, path in (("a folder", musan), ("a packed file", packed["musan"])):
            add(f"{name}, {place}", musan_dataset=path, musan_shares=shares)
    for place, path in (("a folder", speech / "rirs"), ("a packed file", packed["rirs"])):
        add(f"room, {place}", rir_dataset=path)
    responses = [load_audio(path) for path in sorted((speech / "rirs").glob("*.wav"))]
    kinds["room, by torchaudio, in memory"] = lambda rng: torchaudio.functional.fftconvolve(
        crop, responses[rng.integers(len(responses))]
    )
    add("white noise", noise_probability=1.0)
    add("volume", volume_probability=1.0)
    add("telephone band", telephone_probability=1.0)
    for name in CODECS:
        for kbps in BIT_RATES.get(name, (0,))[:: max(len(BIT_RATES.get(name, (0,))) - 1, 1)]:
            label = f"{name} at {kbps} kbit/s" if kbps else name
            codec = Codec(name, kbps)
            kinds[label] = lambda _rng, codec=codec: codec.transmit(crop.numpy())  # type: ignore[misc]
    long = load_audio(file)[: samples_before_speed(N_SAMPLES, 1.1)]
    kinds["speed 1.1"] = lambda _rng: change_speed(long, 1.1)
    kinds["speed 1.1, by torchaudio.functional.speed"] = lambda _rng: torchaudio.functional.speed(long, 16_000, 1.1)
    both = build_augmentation(DataConfig(musan_dataset=packed["musan"], rir_dataset=packed["rirs"]))
    assert both is not None
    kinds["the defaults with noise and rooms, packed"] = lambda rng: both(crop, rng)
    kinds["the same, drawn for a device"] = lambda rng: both.on(torch.device("cuda")).prepare(crop, rng)
    return kinds


def arrange_musan(speech: Path, folder: Path) -> Path:
    """Link noise and speech as MUSAN arranges them; music is noise again."""
    noises = sorted((speech / "musan").rglob("*.wav"))
    talkers = sorted((speech / "test").glob("ls*/*/*.wav"))[:20]
    for category, paths in zip(CATEGORIES, (noises, noises, talkers), strict=True):
        (folder / category).mkdir(parents=True)
        for number, path in enumerate(paths):
            (folder / category / f"{number:04d}.wav").symlink_to(path.absolute())
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder with musan, rirs and test")
    parser.add_argument("--crops", type=int, default=8, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
