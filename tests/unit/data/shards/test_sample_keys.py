import pytest

from mrlspk.data.shards.sample_keys import audio_suffix, plain_key, sample_keys


@pytest.mark.parametrize(
    ("utterance_id", "key"),
    [
        ("id1/clip/00001.wav", "id1/clip/00001"),
        ("id.1/v1.2/a.b.m4a", "id.1/v1.2/a_b"),  # only dots of the last part end a key
        ("/data/x/1.flac", "data/x/1"),
        ("call-1", "call-1"),
        ("s/take.2", "s/take_2"),  # .2 is no suffix of audio
        ("s/.wav", "s/_wav"),
        ("__meta__/1.wav", "_meta_/1"),  # WebDataset skips such folders
        ("s/ü.opus", "s/ü"),
    ],
)
def test_plain_key_of_an_id(utterance_id, key):
    assert plain_key(utterance_id) == key


def test_ids_that_would_share_a_key_get_a_checksum_and_others_do_not():
    ids = ["s/a.flac", "s/a.wav", "s/a.x.wav", "s/a_x.wav", "s/b.wav"]
    keys = sample_keys(ids)
    found = [keys.key(each) for each in ids]
    assert len(set(found)) == len(ids)
    assert found[-1] == "s/b"
    assert [each.startswith("s/a-") for each in found[:2]] == [True, True]
    assert [each.startswith("s/a_x-") for each in found[2:4]] == [True, True]
    assert sample_keys([*ids, "s/c.wav"]).key("s/a.wav") == found[1]


def test_suffix_says_audio_where_the_file_says_nothing():
    assert [audio_suffix(each) for each in (".wav", ".json", "", ".7")] == ["wav", "audio", "audio", "audio"]
