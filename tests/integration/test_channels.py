"""``--channel`` on every command that reads recordings, and every channel of a file with ``embed``."""

import numpy as np
import pytest
import soundfile

from factories import RATE, tiny_config, write_voices
from mrlspk.data.build import build_training_data


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "model.pt")


@pytest.fixture
def voices(tmp_path):
    """Two voices of 1.2 s by name: arrays, and files ``left.wav`` and ``right.wav``."""
    root = write_voices(tmp_path / "voices", 2, sessions=("a",), files=("1",), seconds=1.2, syllables=True)
    return {name: soundfile.read(root / f"speaker{n}/a/1.wav")[0] for n, name in enumerate(("left", "right"))}


@pytest.fixture
def call(tmp_path, voices):
    """A stereo call, one voice on each channel, in a folder with each voice alone."""
    folder = tmp_path / "calls"
    folder.mkdir()
    soundfile.write(folder / "call.wav", np.stack([voices["left"], voices["right"]], axis=1), RATE)
    for name, samples in voices.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    return folder / "call.wav"


@pytest.fixture
def embed(run, model):
    """Embed recordings; return the outcome and the vectors by id."""

    def command(*arguments):
        outcome = run("embed", *arguments, "--model", model, "--json")
        return outcome, {each["id"]: np.array(each["embedding"]) for each in outcome.json["embeddings"]}

    return command


def test_a_named_or_numbered_channel_is_embedded_as_if_alone(embed, call):
    _, alone = embed(call.with_name("left.wav"), call.with_name("right.wav"))
    for flag, voice in (("left", "left"), ("0", "left"), ("right", "right"), ("1", "right")):
        outcome, found = embed(call, "--channel", flag)
        assert outcome.exit_code == 0
        assert found[str(call)] == pytest.approx(alone[str(call.with_name(f"{voice}.wav"))], abs=1e-5)
    _, mixed = embed(call)
    assert all(np.abs(mixed[str(call)] - vector).max() > 1e-3 for vector in alone.values())


def test_every_channel_has_an_id_of_its_own(embed, call):
    outcome, found = embed(call.parent, "--channel", "each")
    assert outcome.exit_code == 0
    assert list(found) == ["call.wav#0", "call.wav#1", "left.wav#0", "right.wav#0"]
    assert found["call.wav#0"] == pytest.approx(found["left.wav#0"], abs=1e-5)
    assert found["call.wav#1"] == pytest.approx(found["right.wav#0"], abs=1e-5)


def test_file_whose_channels_cannot_be_counted_is_one_error(embed, call):
    call.with_name("text.wav").write_text("no audio")
    outcome, found = embed(call.parent, "--channel", "each")
    assert outcome.exit_code == 3
    assert len(found) == 4
    assert [each["id"] for each in outcome.json["errors"]] == ["text.wav"]


def test_file_without_the_channel_is_an_error_among_others(embed, call):
    outcome, found = embed(call.parent, "--channel", "right")
    assert outcome.exit_code == 3
    assert list(found) == ["call.wav"]
    assert [each["id"] for each in outcome.json["errors"]] == ["left.wav", "right.wav"]


def test_flag_beats_the_configured_channel(embed, call, monkeypatch):
    _, right = embed(call, "--channel", "right")
    _, left = embed(call, "--channel", "left")
    monkeypatch.setenv("MRLSPK_EVALUATION__CHANNEL", "right")
    assert embed(call)[1][str(call)] == pytest.approx(right[str(call)])
    assert embed(call, "--channel", "left")[1][str(call)] == pytest.approx(left[str(call)])


def test_verify_compares_one_channel_of_both_recordings(run, model, call, tmp_path, voices):
    soundfile.write(tmp_path / "other.wav", np.stack([voices["right"], voices["right"]], axis=1), RATE)

    def cosine(*arguments):
        outcome = run("verify", call, tmp_path / "other.wav", "--model", model, *arguments, "--json")
        return outcome.json["scores"][-1]["cosine"]

    assert cosine("--channel", "right") == pytest.approx(1, abs=1e-5)
    assert cosine("--channel", "left") < 1 - 1e-4
    refused = run("verify", call, call.with_name("left.wav"), "--model", model, "--channel", "right")
    assert refused.exit_code == 3
    assert "left.wav#1" in refused.stderr


@pytest.fixture
def stereo_corpus(tmp_path):
    """Voices on the right channel, the same noise on the left one, and a list of trials."""
    root = write_voices(tmp_path / "mono", seconds=0.6)
    for path in [*root.rglob("*.wav")]:
        samples, _ = soundfile.read(path)
        to = tmp_path / "stereo" / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(to, np.stack([np.random.default_rng(0).normal(0, 0.1, len(samples)), samples], axis=1), RATE)
    names = [f"speaker{n}/{session}/1.wav" for n in range(3) for session in "ab"]
    pairs = [(a, b) for a in names for b in names if a < b]
    lines = [f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs]
    (tmp_path / "trials.txt").write_text("".join(lines))
    return tmp_path


def test_trials_are_scored_on_the_channel_of_the_voices(run, model, stereo_corpus):
    def results(root, *arguments):
        trials = "--trials", stereo_corpus / "trials.txt", "--audio-root", stereo_corpus / root
        outcome = run("eval", model, *trials, *arguments, "--json")
        return outcome.json["channel"], [each["threshold"] for each in outcome.json["trials"][0]["results"]]

    channel, alone = results("mono")
    assert channel == "mix"
    for flags in (("--channel", "right"), ("--set", "evaluation.channel=1")):
        channel, found = results("stereo", *flags)
        assert channel == 1
        assert found == pytest.approx(alone, abs=1e-4)


def test_rotation_is_fitted_to_the_channel_of_the_voices(run, model, stereo_corpus):
    def spectrum(root, *arguments):
        out, speech = stereo_corpus / f"{root}.pt", stereo_corpus / root
        outcome = run("rotate", model, "--speech", speech, "-o", out, "--method", "svd", *arguments, "--json")
        return outcome.json["rotation"]["spectrum"]

    assert spectrum("stereo", "--channel", "right") == pytest.approx(spectrum("mono"), abs=1e-4)


def test_corpus_without_the_channel_has_an_error_for_each_file(run, stereo_corpus):
    sound = run("data", "check", stereo_corpus / "stereo", "--channel", "right", "--json")
    assert (sound.exit_code, sound.json["problems"]) == (0, [])
    mixed = run("data", "check", stereo_corpus / "stereo", "--json").json["problems"]
    assert {each["kind"] for each in mixed} == {"channels"}
    outcome = run("data", "check", stereo_corpus / "mono", "--channel", "right", "--json")
    assert outcome.exit_code == 3
    assert [each["kind"] for each in outcome.json["problems"]] == ["unreadable"] * 16
    assert "channel" in outcome.json["problems"][0]["message"]


def test_training_and_validation_take_the_configured_channel(stereo_corpus):
    config = tiny_config(stereo_corpus / "stereo", data={"channel": "right"})
    data = build_training_data(config.data, seed=0)
    sources = [data.train.source_of(0), data.validation.utterances[0].source]
    assert [source.channel for source in sources] == [1, 1]
    config = tiny_config(stereo_corpus / "stereo")
    assert build_training_data(config.data, seed=0).train.source_of(0).channel == "mix"


@pytest.mark.parametrize(
    "arguments",
    [
        ("embed", "a.wav", "--channel", "middle"),
        ("embed", "a.wav", "--channel", "-1"),
        ("embed", "a.wav", "--channel", "256"),
        ("embed", "a.wav", "--speech", "loud"),
        ("verify", "a.wav", "b.wav", "--channel", "each"),
        ("verify", "a.wav", "b.wav", "--speech", "loud"),
        ("eval", "model.pt", "--channel", "each"),
        ("eval", "model.pt", "--speech", "each"),
        ("compare", "a.pt", "b.pt", "--channel", "each"),
        ("calibrate", "model.pt", "--trials", "trials.txt", "--channel", "each"),
        ("rotate", "model.pt", "--speech", "corpus", "-o", "x.pt", "--channel", "each"),
        ("rotate", "model.pt", "--speech", "corpus", "-o", "x.pt", "--speech-detector", "loud"),
        ("data", "check", "corpus", "--channel", "each"),
    ],
    ids=" ".join,
)
def test_unknown_channels_and_modes_exit_2(run, arguments):
    outcome = run(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert arguments[-1] in outcome.stderr
