import pytest

from mrlspk.data.checks.names import check_case


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a/1.wav", "a/2.wav", "b/1.wav"], []),
        (["a/B.wav", "a/b.wav"], ["a/b.wav"]),
        (["a/B.WAV", "a/b.wav", "a/B.wav"], ["a/b.wav", "a/B.wav"]),
        (["A/s/1.wav", "A/s/2.wav", "a/s/1.wav"], ["a"]),
        (["a/S/1.wav", "a/s/1.wav", "b/s/1.wav"], ["a/s"]),
        (["a/stra\u00dfe.wav", "a/STRASSE.wav"], ["a/STRASSE.wav"]),
        (["a/e\u0301.wav", "a/\u00e9.wav"], ["a/\u00e9.wav"]),
    ],
)
def test_paths_that_differ_in_case_alone_are_told_at_their_first_part(ids, expected):
    problems = list(check_case(ids))
    assert [(each.kind, each.where) for each in problems] == [("case_clash", place) for place in expected]
