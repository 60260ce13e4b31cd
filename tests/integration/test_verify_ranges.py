"""``mrlspk verify`` without a calibration: the score with the ranges of same-speaker and different-speaker pairs."""

import pytest
import soundfile

import mrlspk
from factories import model_card, write_tiny_model, write_voices


def quantiles(n, *values):
    return {"n": n} | dict(zip(("p05", "p50", "p95"), values, strict=True))


RANGES = [
    {"dim": 4, "same": quantiles(30, 0.5, 0.7, 0.9), "different": quantiles(70, -1, 0, 0.2)},
    {"dim": 8, "same": quantiles(30, 0.4, 0.6, 0.8), "different": quantiles(70, -1, 0, 0.1)},
]


@pytest.fixture
def pair(tmp_path):
    root = write_voices(tmp_path / "voices", 2, seconds=1.5, syllables=True)
    return root / "speaker0/a/1.wav", root / "speaker1/a/1.wav"


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "best.pt", (4, 8), card=model_card(dims=(4, 8), score_ranges=RANGES).entry())


def around(cosine, *, same, different):
    """Return ranges of width 8 that begin and end a tenth beside a cosine."""
    entry = {"dim": 8, "same": {"n": 3, "p05": cosine + same, "p50": 9, "p95": 9}}
    return [entry | {"different": {"n": 4, "p05": -9, "p50": -9, "p95": cosine + different}}]


def test_ranges_of_the_model_card_stand_beside_the_cosine(run, model, pair):
    outcome = run("verify", *pair, "--model", model)
    assert outcome.exit_code == 0, outcome.stderr
    for text in ("0.50 to 0.90", "0.40 to 0.80", "-1.00 to 0.20", "-1.00 to 0.10", "no decision"):
        assert text in outcome.stdout
    assert "30 same-speaker and 70 different-speaker pairs of held-out speakers" in outcome.stdout
    assert run("verify", *pair, "--model", model, "--json").json["score_ranges"] == RANGES
    assert [
        each["dim"] for each in run("verify", *pair, "--model", model, "--dims", 4, "--json").json["score_ranges"]
    ] == [4]


@pytest.mark.parametrize(
    ("same", "different", "reading"),
    [
        (-0.1, -0.1, "a usual cosine of the same speaker, and a rare one of different speakers"),
        (0.1, 0.1, "a usual cosine of different speakers, and a rare one of the same speaker"),
        (-0.1, 0.1, "a usual cosine of the same speaker and of different speakers alike"),
        (0.1, -0.1, "a rare cosine of the same speaker and of different speakers alike"),
    ],
)
def test_cosine_is_read_by_both_ranges(run, pair, tmp_path, same, different, reading):
    path = write_tiny_model(tmp_path / "m.pt")
    cosine = mrlspk.load(path).similarity(*pair)
    write_tiny_model(path, score_ranges=around(cosine, same=same, different=different))
    outcome = run("verify", *pair, "--model", path)
    assert f"{cosine:.4f} is {reading}, at width 8" in outcome.stdout


def test_damaged_ranges_are_refused(run, pair, tmp_path):
    write_tiny_model(tmp_path / "m.pt", score_ranges=[{"dim": 8}])
    outcome = run("verify", *pair, "--model", tmp_path / "m.pt")
    assert (outcome.exit_code, "score_ranges are damaged" in outcome.stderr) == (1, True)


def test_calibration_takes_the_place_of_the_ranges(run, model, pair, tmp_path):
    lines = [f"1 {name}/a/1.wav {name}/b/2.wav\n" for name in ("speaker0", "speaker1")]
    (tmp_path / "trials.txt").write_text("".join([*lines, "0 speaker0/a/1.wav speaker1/a/2.wav\n"]))
    lists = "--trials", tmp_path / "trials.txt", "--audio-root", tmp_path / "voices"
    assert run("calibrate", model, *lists).exit_code == 0
    outcome = run("verify", *pair, "--model", model)
    assert "0.50 to 0.90" not in outcome.stdout
    assert "a prior of 0.01 for the same speaker" in outcome.stdout
    assert "(the calibration's default; --p-target 0.5 expects as many same as different speakers)" in outcome.stdout
    assert "needs more trials than the 2 target and 1 non-target ones" in outcome.stderr
    at_half = run("verify", *pair, "--model", model, "--p-target", 0.5)
    assert "the calibration's default" not in at_half.stdout
    assert "needs more trials" not in at_half.stderr


def test_ratio_beyond_the_trials_is_shown_as_a_bound(run, model, pair, tmp_path):
    lines = ["1 speaker0/a/1.wav speaker0/b/2.wav\n", "0 speaker0/a/1.wav speaker1/a/2.wav\n"]
    (tmp_path / "trials.txt").write_text("".join(lines))
    lists = "--trials", tmp_path / "trials.txt", "--audio-root", tmp_path / "voices"
    assert run("calibrate", model, *lists, "--speech", "all").exit_code == 0
    soundfile.write(tmp_path / "copy.wav", *soundfile.read(pair[0]))
    outcome = run("verify", pair[0], tmp_path / "copy.wav", "--model", model, "--p-target", 0.5)
    assert "same speaker (likelihood ratio at least 2), at width 8" in outcome.stdout
    document = run("verify", pair[0], tmp_path / "copy.wav", "--model", model, "--json").json
    assert document["calibration"]["llr_bounds"] == pytest.approx([-0.693147, 0.693147], abs=1e-6)
    assert [each["same"] for each in document["scores"]] == [False, False]  # a prior of 0.01 asks for a ratio of 99
    assert "every pair gets the same answer" in document["warnings"][-1]
