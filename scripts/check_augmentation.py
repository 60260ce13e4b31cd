"""Compare crops augmented in batches on a device with those of the decoding processes, as a Markdown table.

    scripts/check_augmentation.py $MRLSPK_SHARED/speech --device cuda

Both draw alike. Exits 1 if a sample differs by more than 1e-5. The times are of a batch: what the workers save, and
what the device takes for it.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mrlspk.config.data import DataConfig
from mrlspk.data.audio import load_audio
from mrlspk.data.augmentation.build import build_augmentation

N_SAMPLES, TOLERANCE = 48_000, 1e-5


def main() -> None:
    """Augment one batch in both ways, and print the table."""
    given = _arguments()
    torch.set_num_threads(1)
    config = DataConfig(musan_dataset=given.speech / "musan", rir_dataset=given.speech / "rirs", noise_probability=0.5)
    plain = build_augmentation(config)
    assert plain is not None
    deferred, device = plain.on(torch.device("cuda")), torch.device(given.device)
    file = max((given.speech / "test").glob("ls*/*/*.wav"), key=lambda path: path.stat().st_size)
    crop = load_audio(file)[:N_SAMPLES]
    began = time.process_time()
    expected = torch.stack([plain(crop, np.random.default_rng(seed)) for seed in range(given.batch)])
    whole = time.process_time() - began
    began = time.process_time()
    prepared = [deferred.prepare(crop, np.random.default_rng(seed)) for seed in range(given.batch)]
    drawn = time.process_time() - began
    batch = [torch.stack(each).to(device) for each in zip(*prepared, strict=True)]
    seconds = []
    for _ in range(given.rounds + 1):
        _wait(device)
        began = time.perf_counter()
        finished = deferred.finish(*batch)
        _wait(device)
        seconds.append(time.perf_counter() - began)
    difference = float((finished.cpu() - expected).abs().max())
    print(f"Batches of {given.batch} crops of 3 s; largest difference {difference:.1e}.\n")
    print("| step | ms a batch |\n|---|---|")
    print(f"| decoding process: all of the augmentation | {1000 * whole:.1f} |")
    print(f"| decoding process: the draws alone | {1000 * drawn:.1f} |")
    print(f"| {device}: rooms, noise, volume | {1000 * statistics.median(seconds[1:]):.1f} |")
    if difference > TOLERANCE:
        sys.exit(1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder with musan, rirs and test")
    parser.add_argument("--device", default="cuda", help="where batches are augmented")
    parser.add_argument("--batch", type=int, default=256, help="crops")
    parser.add_argument("--rounds", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
