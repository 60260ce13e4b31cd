"""Run the scripts in ``examples/`` on a tiny model and a tiny corpus."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[2] / "examples"
COSINE = r"([+-]\d\.\d{4})"


def run_example(name, *arguments):
    """Run a script of ``examples/`` as a user would; return its process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MRLSPK_")}
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def model(write_model, tmp_path):
    return write_model(tmp_path / "model.pt", dims=(4, 8))


@pytest.fixture
def recordings(tmp_path):
    """Two voices of 1.5 s, each between pauses of half a second."""
    generator, paths = np.random.default_rng(0), [tmp_path / "first.wav", tmp_path / "second.wav"]
    for path, pitch in zip(paths, (150, 400), strict=True):
        voice = 0.2 * np.sin(2 * np.pi * pitch * np.arange(24_000) / 16_000) + 0.05 * generator.normal(size=24_000)
        noise = 1e-4 * generator.normal(size=40_000)
        noise[8000:32_000] += voice
        soundfile.write(path, noise, 16_000)
    return paths


def test_every_example_is_tested():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if f'run_example("{path.name}"' not in source] == []


def test_two_recordings_prints_the_cosine_of_every_width(model, recordings):
    done = run_example("two_recordings.py", model, recordings[0], recordings[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "   4 values: cosine +1.0000\n   8 values: cosine +1.0000\n"


def test_one_pass_finds_prefixes_equal_to_narrower_embeddings(model, recordings):
    done = run_example("one_pass.py", model, recordings[0])
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"^ +(\d) values, +(\d+) bytes: largest difference (\S+)$", done.stdout, re.MULTILINE)
    assert [(int(dim), int(size)) for dim, size, _ in rows] == [(4, 16), (8, 32)]
    assert max(float(difference) for *_, difference in rows) < 1e-6


def test_find_voice_prints_a_cosine_for_every_whole_piece_with_speech(model, recordings, tmp_path):
    voice, rate = soundfile.read(recordings[0], dtype="float32")
    other, _ = soundfile.read(recordings[1], dtype="float32")
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate([other, np.zeros_like(other), voice, other[:100]]), rate, subtype="PCM_16")
    done = run_example("find_voice.py", model, recordings[0], long, "--seconds", 2.5, "--dim", 4)
    assert (done.returncode, done.stderr) == (0, "")
    different, silent, same = done.stdout.splitlines()
    row = rf"    \d\.\d s  cosine {COSINE}  \d\.\d s of speech"
    assert (different[:9], silent, same[:9]) == ("    0.0 s", "    2.5 s  no speech", "    5.0 s")
    assert float(re.fullmatch(row, different)[1]) < float(re.fullmatch(row, same)[1])
    assert float(re.fullmatch(row, same)[1]) == pytest.approx(1, abs=1e-4)


@pytest.fixture
def embeddings(tmp_path):
    """Five recordings in the layout of ``mrlspk embed -o``, of which b is most like a; d and e are its opposite."""
    vectors = np.array([[1, 0, 0], [0.8, 0.1, 0], [0.8, 0.6, 0], [-1, 0, 0], [-1, 0, 0.2]], np.float32)
    path = tmp_path / "embeddings.npz"
    ids = np.array([f"{name}.wav" for name in "abcde"])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(path, ids=ids, seconds=np.ones(5), embeddings=unit)
    return path


def test_search_ranks_the_shortlist_with_all_values(embeddings):
    # By the first value alone b and c are both like a; all values tell them apart, d and e are not on the list.
    done = run_example("search.py", embeddings, "a.wav", "--dim", 1, "--shortlist", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "+0.9923  b.wav\n+0.8000  c.wav\n"


def test_search_reads_the_file_of_the_embed_command(run, model, tiny_corpus, tmp_path):
    path = tmp_path / "written.npz"
    assert run("embed", tiny_corpus.root, "--model", model, "-o", path, "--quiet").exit_code == 0
    done = run_example("search.py", path, tiny_corpus.utterance_ids[0], "--dim", 4, "--show", 3)
    assert (done.returncode, done.stderr) == (0, "")
    found = re.findall(rf"^{COSINE}  (\S+)$", done.stdout, re.MULTILINE)
    assert len(found) == 3
    assert {name for _, name in found} < set(tiny_corpus.utterance_ids[1:])
    assert [float(cosine) for cosine, _ in found] == sorted((float(cosine) for cosine, _ in found), reverse=True)


def test_search_refuses_an_unknown_id(embeddings):
    done = run_example("search.py", embeddings, "nobody.wav")
    assert done.returncode == 2
    assert "nobody.wav is not in" in done.stderr


def test_identify_enrols_a_folder_and_names_the_nearest_voice(model, recordings, tmp_path):
    for name, path in zip(("ann", "bob"), recordings, strict=True):
        (tmp_path / "speakers" / name).mkdir(parents=True)
        (tmp_path / "speakers" / name / "1.wav").write_bytes(path.read_bytes())
    done = run_example("identify.py", model, tmp_path / "index", tmp_path / "speakers", recordings[1])
    assert (done.returncode, done.stderr) == (0, "")
    enrolled, reason, found = done.stdout.splitlines()
    assert enrolled == "2 voices, 2 recordings"
    assert reason.startswith("no decisions: a calibration needs 20 voices")
    assert found == f"{recordings[1]}: no decision, nearest bob +1.0000"
