"""``--corpus`` of the data commands and of rotate, on a folder of files whose names tell speaker and session."""

import pytest

from factories import write_voices

PATTERN = "{speaker}_{session}_*"


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Four speakers with two sessions of two files each, in one folder."""
    folder = tmp_path_factory.mktemp("flat")
    for path in sorted(write_voices(tmp_path_factory.mktemp("voices")).rglob("*.wav")):
        path.rename(folder / "_".join(path.parts[-3:]))
    return folder


def test_data_check_reads_the_pattern_and_says_so(run, flat):
    outcome = run("data", "check", flat, "--corpus", PATTERN, "--decode", "all", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert (outcome.json["corpus"], outcome.json["speakers"], outcome.json["decoded"]) == (PATTERN, 4, 16)
    assert run("data", "check", flat).exit_code == 3


def test_counts_of_a_published_part_are_expected(run, flat, tmp_path):
    part = tmp_path / "19" / "198"
    part.mkdir(parents=True)
    (part / "19-198-0000.wav").symlink_to(next(flat.iterdir()))
    outcome = run("data", "check", tmp_path, "--expect", "librispeech-dev-clean", "--json")
    assert (outcome.exit_code, outcome.json["corpus"]) == (3, "librispeech")
    texts = [each["message"].replace(",", "") for each in outcome.json["problems"] if each["kind"] == "count"]
    assert len(texts) == 2
    assert "40 speakers" in texts[0]
    assert "2703 utterances" in texts[1]


def test_data_trials_takes_sessions_from_the_pattern(run, flat, tmp_path):
    drawn = run("data", "trials", flat, "--corpus", PATTERN, "-n", 32, "-o", tmp_path / "list.txt", "--json")
    assert drawn.exit_code == 0, drawn.stderr
    for line in (tmp_path / "list.txt").read_text().splitlines():
        label, one, other = line.split()
        (speaker, session), (other_speaker, other_session) = (name.split("_")[:2] for name in (one, other))
        assert (label == "1") == (speaker == other_speaker)
        assert label == "0" or session != other_session


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_rotate_reads_the_pattern(run, flat, write_model, tmp_path, suffix):
    model = write_model(tmp_path / "model.pt")
    out = tmp_path / f"rotated{suffix}"
    outcome = run("rotate", model, "--speech", flat, "--corpus", PATTERN, "-o", out, "--crop-seconds", 0.4, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["speakers"] == 4
