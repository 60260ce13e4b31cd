"""Write real speech in the layouts of published corpora, and check that each recipe recognises, reads and decodes it.

The speech is that of ``MRLSPK_SHARED/speech/test``, 5 speakers of LibriSpeech with 10 utterances each; names and
codecs are those of the corpora.
"""

import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from mrlspk.data.audio import save_m4a
from mrlspk.data.choices import Decode
from mrlspk.data.corpora.recipe_registry import find_recipe
from mrlspk.workflows.check_data import check_data

RATE = 16_000
VIDEOS = "5r0dWxy17C8", "1gtz-CUIygI"
N_SPEAKERS, N_UTTERANCES = 5, 10

type Recording = tuple[int, int, NDArray[np.float32]]  # speaker, utterance, samples


def recordings() -> list[Recording]:
    """Return all utterances with the numbers of their speaker and of the utterance."""
    root = Path(os.environ["MRLSPK_SHARED"]) / "speech" / "test"
    folders = sorted(root.glob("ls*"))
    found = [(number, sorted(folder.rglob("*.wav"))) for number, folder in enumerate(folders)]
    return [
        (number, index, soundfile.read(path, dtype="float32")[0])
        for number, paths in found
        for index, path in enumerate(paths)
    ]


def write(path: Path, samples: NDArray[np.float32]) -> None:
    """Write audio in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".m4a":
        save_m4a(path, torch.from_numpy(samples))
    else:
        soundfile.write(path, samples, RATE)


def write_tree(name: Callable[[int, int], str]) -> Callable[[Path, list[Recording]], None]:
    """Return what writes a tree of folders with the given names."""

    def write_all(root: Path, speech: list[Recording]) -> None:
        for speaker, utterance, samples in speech:
            write(root / name(speaker, utterance), samples)

    return write_all


def write_common_voice(root: Path, speech: list[Recording]) -> None:
    """Write clips as MP3 and their table."""
    rows = ["client_id\tpath\tsentence\tup_votes\tdown_votes"]
    for speaker, utterance, samples in speech:
        clip = f"common_voice_en_{speaker}{utterance:04}.mp3"
        write(root / "clips" / clip, samples)
        rows.append(f'{speaker:0128x}\t{clip}\tHe said "so.\t2\t0')
    (root / "validated.tsv").write_text("\n".join([*rows, ""]))


def write_speechocean762(root: Path, speech: list[Recording]) -> None:
    """Write the audio and the Kaldi tables of both parts."""
    for part, is_test in (("train", False), ("test", True)):
        own = [(f"{speaker:04}", f"{speaker:05}{utterance:04}", s) for speaker, utterance, s in speech]
        own = [each for each in own if (int(each[0]) >= 3) == is_test]
        (root / part).mkdir(parents=True)
        for table, line in (("wav.scp", "{1}\tWAVE/SPEAKER{0}/{1}.WAV"), ("utt2spk", "{1}\t{0}")):
            (root / part / table).write_text("".join(f"{line.format(*each)}\n" for each in own))
        for speaker, name, samples in own:
            write(root / f"WAVE/SPEAKER{speaker}/{name}.WAV", samples)


def write_tars(root: Path, speech: list[Recording]) -> None:
    """Write two tar files, one for even and one for odd speakers."""
    write_tree(lambda speaker, utterance: f"{speaker % 2}/id{speaker:06}/{VIDEOS[utterance % 2]}/{utterance:05}.wav")(
        root / "files", speech
    )
    for number in (0, 1):
        with tarfile.open(root / f"{number}.tar", "w") as tar:
            tar.add(root / "files" / str(number), "audio")
    for path in sorted((root / "files").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (root / "files").rmdir()


CORPORA: dict[str, tuple[str, Callable[[Path, list[Recording]], None]]] = {
    "VoxCeleb1": ("voxceleb1", write_tree(lambda s, u: f"id{10270 + s}/{VIDEOS[u % 2]}/{u:05}.wav")),
    "VoxCeleb2": ("voxceleb2", write_tree(lambda s, u: f"id{12 + s:05}/{VIDEOS[u % 2]}/{u:05}.m4a")),
    "LibriSpeech": (
        "librispeech",
        write_tree(lambda s, u: f"{19 + s}/{198 + u % 2}/{19 + s}-{198 + u % 2}-{u:04}.flac"),
    ),
    "CN-Celeb": ("cn-celeb", write_tree(lambda s, u: f"id{s:05}/{('singing', 'vlog')[u % 2]}-01-{u:03}.flac")),
    "Common Voice": ("common-voice", write_common_voice),
    "VoxBlink2": ("voxblink2", write_tree(lambda s, u: f"id{s:06}/{VIDEOS[u % 2]}/{u:05}.wav")),
    "VoxBlink2, tars": ("voxblink2", write_tars),
    "speechocean762": ("speechocean762", write_speechocean762),
    "a tree": ("folders", write_tree(lambda s, u: f"speaker{s}/{u % 2}/{u}.flac")),
}


def check_all(root: Path) -> Iterator[str]:
    """Yield a line for each corpus, with what is wrong at its end."""
    speech = recordings()
    for title, (name, write_corpus) in CORPORA.items():
        folder = root / title
        write_corpus(folder, speech)
        start = time.perf_counter()
        recipe = find_recipe(folder)
        milliseconds = 1000 * (time.perf_counter() - start)
        report = check_data(folder, decode=Decode.ALL)
        right = (name, N_SPEAKERS, N_UTTERANCES * N_SPEAKERS, True)
        found = (recipe and recipe.name, report.speakers, report.utterances, report.ok)
        fault = "" if found == right == (report.corpus, *found[1:]) else f"  expected {right}: {report.problems[:2]}"
        what = f"{report.speakers} speakers, {report.decoded} files decoded"
        yield f"{title:16} {found[0]:15} {milliseconds:5.1f} ms  {what}{fault}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        lines = [print(line) or line for line in check_all(Path(scratch))]
    sys.exit(any("expected" in line for line in lines))
