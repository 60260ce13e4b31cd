from mrlspk.data.checks.speakers import check_overlap


def test_speakers_of_every_two_of_several_corpora_are_compared():
    found = check_overlap({"a", "b"}, {"dev": {"b", "c"}, "test": {"c", "d", "a"}})
    assert [(each.where, each.message) for each in found] == [
        ("b", "expected other speakers than in dev, got the same"),
        ("a", "expected other speakers than in test, got the same"),
        ("c", "expected other speakers in dev than in test, got the same"),
    ]
