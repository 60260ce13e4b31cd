import pytest
from rich.console import Console

from mrlspk.cli.index.answers import (
    answer,
    false_accepts,
    identification_entry,
    show_identification,
    show_identifications,
    show_verification,
)
from mrlspk.index.results import Asked, Identification, Match, Verification

QUERY = Asked("a.wav", 3.0, 2.5)
MATCHES = Match("anna", 0.81, 8.882), Match("bert", 0.8, 8.0), Match("carl", 0.2, -3.0)


def identified(decision, *names):
    return Identification(QUERY, decision, names, MATCHES, 64, 1000, 0.01, 0.5512)


def shown(pieces):
    console = Console(width=120)
    with console.capture() as capture:
        for piece in pieces:
            console.print(piece)
    return capture.get()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (identified("accept", "anna"), "accept anna (likelihood ratio 7,200)"),
        (identified("ambiguous", "anna", "bert"), "ambiguous: anna, bert"),
        (identified("ambiguous", *"abcdefg"), "ambiguous: a, b, c, d, e and 2 more"),
        (identified("unknown"), "unknown: no voice is near enough"),
        (Identification(QUERY, "unknown", (), (), 64, 0, 0.0, 0.5512), "unknown: no voice was searched"),
        (
            Identification(QUERY, None, (), MATCHES, 64, 1000, warnings=("no speech was found",)),
            "no decision: no speech was found",
        ),
    ],
)
def test_answer_is_one_sentence(found, expected):
    assert answer(found) == expected


def test_false_accepts_are_told_for_all_voices_and_for_each():
    # 1 - 0.5 ** (1 / 2) = 0.2929
    assert false_accepts(0.5, 2) == "false accepts: 50 % of strangers over 2 voices, 29 % for each voice"
    assert false_accepts(0.01, 1) == "false accepts: 1 % of strangers"


def test_identification_shows_sentence_candidates_and_rate():
    text = shown(show_identification(identified("accept", "anna"), "mrlspk index calibrate v"))
    assert text.startswith("accept anna (likelihood ratio 7,200)\n\nvoice   score    LLR\nanna   0.8100  +8.88\n")
    assert "accepted from a score of 0.5512 on, at width 64\nfalse accepts: 1 % of strangers over 1,000 voices" in text
    assert "calibrate" not in text


def test_undecided_identification_names_the_command():
    found = Identification(QUERY, None, (), (Match("anna", 0.8),), 64, 3, warnings=("the index has no calibration",))
    text = shown(show_identification(found, "mrlspk index calibrate v"))
    assert text.endswith("To get decisions: mrlspk index calibrate v\n")
    assert "LLR" not in text


def test_identification_of_silence_names_no_command():
    found = Identification(Asked("a.wav", 3.0, 0.0), None, (), MATCHES, 64, 3, warnings=("no speech was found",))
    assert "To get decisions" not in shown(show_identification(found, "mrlspk index calibrate v"))


def test_several_identifications_have_a_row_each_with_its_threshold():
    found = identified("accept", "anna"), identified("unknown"), identified("ambiguous", "anna", "bert")
    rows = shown(show_identifications(found, "")).splitlines()
    assert rows[0].split() == ["recording", "answer", "nearest", "score", "accepted", "from", "speech"]
    assert [row.split()[1:3] for row in rows[1:4]] == [["accept", "anna"], ["unknown", "anna"], ["ambiguous", "anna,"]]
    assert "0.5512" in rows[1]


@pytest.mark.parametrize(("same", "sentence"), [(True, "anna is the speaker"), (False, "not accepted as anna")])
def test_verification_says_whether_it_is_the_voice(same, sentence):
    found = Verification(QUERY, "anna", same, 0.8, 8.882, 64, 0.01, 0.55)
    text = shown(show_verification(found, ""))
    assert text.startswith(f"{sentence} (likelihood ratio 7,200)\n")
    assert text.endswith("false accepts: 1 % of strangers\n")


def test_entry_has_the_keys_of_the_contract():
    entry = identification_entry(identified("accept", "anna"))
    assert (entry["decision"], entry["name"], entry["dim"], entry["voices"]) == ("accept", "anna", 64, 1000)
    assert entry["candidates"][0] == {"name": "anna", "score": 0.81, "llr": 8.882}
    assert (entry["false_accept_rate"], entry["threshold"], entry["undecided"]) == (0.01, 0.5512, None)
    assert identification_entry(identified("ambiguous", "anna", "bert"))["name"] is None
