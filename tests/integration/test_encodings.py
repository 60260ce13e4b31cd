"""One recording in the encodings of real tools: read whole, as the tools decode it, and embedded as the WAV."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_encodings import ENCODINGS, RATE, decode_by_tool, require_tools, shell
from mrlspk.cli.app import app
from mrlspk.data.audio import load_audio, probe_audio
from mrlspk.data.audio.source import as_source
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.model_file import locate_model
from mrlspk.inference.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.process]
RECORDING = "test/ls01688/142285/00009.wav"
RANGE_START, RANGE_SECONDS = 1.37, 0.5
TELEPHONE = sorted(name for name, each in ENCODINGS.items() if each.rate < RATE)


@dataclass(frozen=True)
class Encoded:
    """The recording in every encoding: ``folder/speaker/name``."""

    recording: Path
    model: Path
    folder: Path

    def path(self, name):
        return self.folder / "speaker" / name


@pytest.fixture(scope="module")
def encoded(shared, tmp_path_factory):
    require_tools()
    model = shared / "pretrained" / "redimnet-small-speech.pt"
    made = Encoded(shared / "speech" / RECORDING, model, tmp_path_factory.mktemp("encodings"))
    made.path("x").parent.mkdir()
    for name, encoding in ENCODINGS.items():
        shell(encoding.command, wav=made.recording, out=made.path(name))
    return made


@pytest.fixture(scope="module")
def by_tool(encoded):
    """What the tools decode, at 16 kHz, by name."""
    return {name: decode_by_tool(encoded.path(name)) for name in ENCODINGS}


def command(*arguments):
    """Run a command; return its exit code and its JSON document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def embedded(encoded):
    """Run ``mrlspk embed`` once on the folder and the recording."""
    return command("embed", encoded.folder, encoded.recording, "--model", encoded.model, "--speech", "all")


@pytest.fixture(scope="module")
def checked(encoded):
    """Run ``mrlspk data check`` once on the folder."""
    return command("data", "check", encoded.folder, "--decode", "all")


@pytest.mark.parametrize("name", ENCODINGS)
def test_waveform_is_what_the_tool_decodes(encoded, by_tool, name):
    expected, found = by_tool[name], load_audio(encoded.path(name)).numpy()
    assert abs(found.size - expected.size) <= ENCODINGS[name].spare * RATE
    size = min(found.size, expected.size)
    assert level(found[:size] - expected[:size]) < level(expected) - 30  # dB


def level(samples):
    return 10 * np.log10(np.mean(samples**2) + 1e-12)


@pytest.mark.parametrize("name", ENCODINGS)
def test_length_is_what_the_tool_decodes(encoded, by_tool, name):
    info = probe_audio(encoded.path(name))
    assert info.seconds == pytest.approx(by_tool[name].size / RATE, abs=ENCODINGS[name].spare)
    assert (info.sample_rate, info.channels) == (ENCODINGS[name].rate, ENCODINGS[name].channels)


@pytest.mark.parametrize("name", ENCODINGS)
def test_range_is_the_slice_of_the_whole(encoded, name):
    start, size = round(RANGE_START * RATE), round(RANGE_SECONDS * RATE)
    expected = load_audio(encoded.path(name))[start : start + size]
    found = load_audio(encoded.path(name), start_seconds=RANGE_START, seconds=RANGE_SECONDS)
    assert found.numpy() == pytest.approx(expected.numpy(), abs=ENCODINGS[name].range_tolerance)


def test_every_encoding_is_embedded(embedded):
    exit_code, document = embedded
    assert (exit_code, document["errors"]) == (0, [])
    assert {Path(each["id"]).name for each in document["embeddings"]} >= ENCODINGS.keys()


@pytest.mark.parametrize("name", ENCODINGS)
def test_embedding_is_near_that_of_the_recording(encoded, embedded, name):
    vectors = {each["id"]: np.array(each["embedding"]) for each in embedded[1]["embeddings"]}
    assert vectors[f"speaker/{name}"] @ vectors[str(encoded.recording)] >= ENCODINGS[name].cosine


@pytest.mark.parametrize("name", ["pipe.flac", "no-xing.mp3", "fragmented.mp4", "chained-vorbis.ogg"])
def test_windows_are_those_of_the_recording(encoded, name):
    recordings = [Recording(as_source(path)) for path in (encoded.path(name), encoded.recording)]
    backend = load_backend(locate_model(str(encoded.model), cache_dir=None), device="cpu").backend
    found = embed_recordings(backend, recordings, batch_size=8, max_seconds=1.5).embeddings
    vectors = [found[each].vector / np.linalg.norm(found[each].vector) for each in recordings]
    assert vectors[0] @ vectors[1] >= ENCODINGS[name].cosine


def test_only_telephone_audio_is_warned_of(embedded):
    found = {each["id"]: each["warnings"] for each in embedded[1]["embeddings"] if each["warnings"]}
    assert found == {f"speaker/{name}": [f"upsampled from {ENCODINGS[name].rate} Hz"] for name in TELEPHONE}


def test_data_check_finds_the_hours_and_no_fault(checked, by_tool):
    exit_code, document = checked
    assert exit_code == 0
    assert document["utterances"] == len(ENCODINGS)
    expected = sum(each.size for each in by_tool.values()) / RATE
    assert document["seconds"] == pytest.approx(expected, abs=sum(each.spare for each in ENCODINGS.values()))


def test_data_check_names_rates_and_channels_only(checked):
    found = {(each["kind"], each["where"]) for each in checked[1]["problems"]}
    channels = {("channels", f"speaker/{name}") for name, each in ENCODINGS.items() if each.channels > 1}
    rates = {("sample_rate", f"speaker/{name}") for name in TELEPHONE}
    assert {each for each in found if each[0] not in {"mixed_rates", "level"}} == channels | rates
