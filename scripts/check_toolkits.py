"""Check, sample by sample, that lhotse and kaldiio read what `mrlspk data scan` writes, and we what lhotse writes.

They are no dependencies: install them without their own (`pip install --no-deps --target FOLDER lhotse kaldiio
intervaltree sortedcontainers tabulate cytoolz toolz audioread`), then type

    PYTHONPATH=FOLDER .venv/bin/python scripts/check_toolkits.py
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.data.audio import load_audio
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.workflows.scan_manifest import scan_manifest

RATE, N_FILES = 16_000, 20
SPLIT_SECONDS = 1.5


def write_lhotse(folder: Path, speech: Path) -> Any:
    """Write recordings, supervisions and cuts of halves of files; return the cuts."""
    from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet

    paths = sorted(speech.rglob("*.wav"))[:N_FILES]
    recordings = RecordingSet.from_recordings(
        Recording.from_file(path, recording_id="-".join([*path.parts[-3:-1], path.stem])) for path in paths
    )
    supervisions = SupervisionSet.from_segments(
        SupervisionSegment(
            f"{each.id}-{part}", each.id, start, end - start, channel=0, speaker=each.id.partition("-")[0]
        )
        for each in recordings
        for part, (start, end) in enumerate([(0.25, SPLIT_SECONDS), (SPLIT_SECONDS, each.duration)])
    )
    recordings.to_file(folder / "x_recordings.jsonl.gz")
    supervisions.to_file(folder / "x_supervisions.jsonl.gz")
    cuts = CutSet.from_manifests(recordings=recordings, supervisions=supervisions).trim_to_supervisions()
    cuts.to_file(folder / "cuts.jsonl.gz")
    return cuts.to_eager()


def check_same(name: str, expected: Iterable[tuple[str, np.ndarray]], found: dict[str, np.ndarray]) -> None:
    """Compare samples by id; the ends may differ by a sample, which is rounding.

    Raises:
        SystemExit: If they differ.
    """
    n_same = 0
    for id_, samples in expected:
        mine = found.pop(id_)
        shorter = min(len(mine), len(samples))
        if abs(len(mine) - len(samples)) > 1 or np.abs(mine[:shorter] - samples[:shorter]).max() > 1e-4:
            raise SystemExit(f"{name}: {id_} differs")
        n_same += 1
    if found or not n_same:
        raise SystemExit(f"{name}: {len(found)} utterances too many")
    print(f"{name}: {n_same} utterances are the same")


def ours(path: Path) -> dict[str, np.ndarray]:
    """Return the samples of a corpus as mrlspk reads them, by id."""
    return {each.utterance_id: load_audio(each.source).numpy() for each in scan_corpus(path).utterances}


def main() -> None:
    """Write, read and compare."""
    import kaldiio
    from lhotse.kaldi import load_kaldi_data_dir

    speech = Path(os.environ.get("MRLSPK_SHARED", "../shared")).absolute() / "speech" / "test"
    if not speech.is_dir():
        raise SystemExit(f"{speech}: no such folder; set MRLSPK_SHARED")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cuts = write_lhotse(folder, speech)
        samples = {cut.supervisions[0].id: cut.load_audio()[0] for cut in cuts}
        check_same("cuts of lhotse", ((cut.id, cut.load_audio()[0]) for cut in cuts), ours(folder / "cuts.jsonl.gz"))
        check_same("recordings of lhotse", samples.items(), ours(folder / "x_recordings.jsonl.gz"))
        scan_manifest(folder / "x_recordings.jsonl.gz", folder / "kaldi", jobs=1)
        scan_manifest(speech, folder / "whole", jobs=1)
        for data in (folder / "kaldi", folder / "whole"):
            segments = data / "segments"
            read = kaldiio.load_scp(str(data / "wav.scp"), segments=str(segments) if segments.exists() else None)
            check_same(f"{data.name} by kaldiio", ((id_, read[id_][1] / 32768) for id_ in read), ours(data))
            lines = (data / "utt2spk").read_text().splitlines()
            (data / "text").write_text("".join(f"{line.split()[0]} -\n" for line in lines))  # lhotse needs it
            _, supervisions, _ = load_kaldi_data_dir(data, sampling_rate=RATE)
            if [f"{each.id} {each.speaker}" for each in supervisions] != lines:
                raise SystemExit(f"{data.name} by lhotse: other speakers")
            print(f"{data.name} by lhotse: {len(lines)} utterances have the same speakers")


if __name__ == "__main__":
    main()
