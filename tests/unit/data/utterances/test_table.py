import gc
import logging
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mrlspk.data import slow_counts
from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource, RangeSource, TarMember
from mrlspk.data.manifest import CorpusListing, Manifest, Utterance
from mrlspk.data.utterances import table
from mrlspk.data.utterances.packed_text import PackedText
from mrlspk.data.utterances.table import UtteranceTable


class Stored(AudioSource):
    """A source of a plug-in that is no data class."""

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return self.number == other.number

    __hash__ = None


@dataclass(frozen=True, slots=True)
class Listed(AudioSource):
    """A source of a plug-in with a field that no column holds."""

    parts: tuple[str, ...]


FILE = FileSource("/a/b/1.wav")
SOURCES = [
    FileSource("/corpus/s1/0.wav"),  # the folder and the id
    FileSource("/corpus/s1/other.wav"),
    FileSource("/elsewhere/s1/2.wav"),
    TarMember("x.tar", "1.wav", 512, 2**40),
    TarMember("x.tar", "2.wav", 4096, 7),
    RangeSource(FILE, 1.5, 2.25),
    RangeSource(FILE, 0, None),
    RangeSource(TarMember("y.tar", "1.wav", 0, 1), 0.1),
    RangeSource(FILE, 1.0, float("inf")),
    ChannelSource(FILE, 1),
    ChannelSource(RangeSource(FILE, 3.0), 0),
    FileSource("/bytes/\udcff.wav"),
    TarMember("x.tar", "huge", 2**70, 1),
    Stored(3),
    Stored(4),
    Listed(("a", "b")),
]


def utterance(number, source, speaker="s1"):
    return Utterance(f"s1/{number}.wav", speaker, f"s1/{number % 2}", source)


@pytest.fixture
def utterances():
    return tuple(utterance(number, source, f"s{7 * number % 5}") for number, source in enumerate(SOURCES))


def test_table_returns_each_utterance_as_it_was(utterances):
    table = UtteranceTable.of(iter(utterances))
    assert table == utterances
    assert utterances == table
    assert [table[place] for place in range(-len(table), 0)] == [*utterances]
    assert [table.source(place) for place in range(len(table))] == SOURCES
    assert pickle.loads(pickle.dumps(table)) == utterances
    for outside in (len(table), -len(table) - 1):
        with pytest.raises(IndexError, match=f"utterance {outside} of {len(table)}"):
            table[outside]


def test_table_differs_from_other_utterances(utterances):
    table = UtteranceTable.of(utterances)
    assert table != utterances[1:]
    for change in ({"speaker_id": "s9"}, {"session_id": "s1/9"}, {"source": FILE}, {"weight": 0.5}):
        assert table != (replace(utterances[0], **change), *utterances[1:])


def test_parts_of_a_table_are_those_of_the_tuple(utterances):
    table = UtteranceTable.of(utterances)
    for part in (slice(2, 5), slice(None, None, -3), slice(4, 4)):
        assert table[part] == utterances[part]
        assert table[part].speakers == tuple(sorted({each.speaker_id for each in utterances[part]}))
    assert table[3:6] + table[:2] == (*utterances[3:6], *utterances[:2])
    names = tuple(utterances[0].speaker_id for _ in ())
    assert (UtteranceTable.of(()), UtteranceTable.of(()).speakers) == ((), names)


def test_groups_hold_the_utterances_of_each_speaker_in_order(utterances):
    groups = UtteranceTable.of(utterances).by_speaker()
    expected = {speaker: tuple(u for u in utterances if u.speaker_id == speaker) for speaker in groups}
    assert [*expected] == ["s0", "s1", "s2", "s3", "s4"]
    assert dict(groups) == expected
    assert groups["s1"][1:] == expected["s1"][1:]
    assert groups.sizes().tolist() == [len(group) for group in expected.values()]


def test_lengths_and_weights_stay_with_their_utterances():
    rows = [
        replace(utterance(number, FILE), seconds=seconds, weight=weight)
        for number, (seconds, weight) in enumerate([(1.5, 1), (None, 0.5), (3.0, 2)])
    ]
    table = UtteranceTable.of([rows[2], rows[0], rows[1]]).in_order()
    assert table == tuple(rows)
    assert [each.seconds for each in table] == [1.5, None, 3.0]
    np.testing.assert_array_equal(table.seconds, [1.5, np.nan, 3.0])
    assert table[1:].weights.tolist() == [0.5, 2]
    assert (UtteranceTable.of([rows[0]]).weights, UtteranceTable.of([rows[1]]).seconds) == (None, None)


def test_a_channel_of_a_table_is_that_of_each_source(utterances):
    manifest = Manifest("corpus", utterances)
    assert manifest.at_channel("mix") == manifest
    once = manifest.at_channel(1).at_channel("mix")
    assert [each.source for each in once.utterances] == [ChannelSource(source, 1) for source in SOURCES]
    assert once.at_channel(0).utterances[5].source == ChannelSource(ChannelSource(SOURCES[5], 1), 0)


def test_utterances_are_chosen_by_id_and_by_speaker(utterances):
    manifest = Manifest("corpus", utterances)
    ids = {"s1/3.wav", "s1/7.wav", "absent"}
    assert [each.utterance_id for each in manifest.only_utterances(ids).utterances] == ["s1/3.wav", "s1/7.wav"]
    assert manifest.without_utterances(ids).utterances == utterances[:3] + utterances[4:7] + utterances[8:]
    assert manifest.without_utterances({"absent"}).utterances is manifest.utterances
    assert manifest.only_speakers({"s2", "s9"}).utterance_ids == ["s1/1.wav", "s1/6.wav", "s1/11.wav"]


def test_a_listing_keeps_what_a_recipe_yields(utterances):
    listing = CorpusListing((each for each in utterances), left_out=("a.wav",))
    assert listing == CorpusListing(utterances, ("a.wav",))
    assert listing.utterances == listing.utterances == utterances


def test_a_long_listing_tells_how_far_it_is(utterances, monkeypatch, caplog):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(slow_counts.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(table, "CHUNK", 3)
    with caplog.at_level(logging.INFO, logger="mrlspk.data"):
        UtteranceTable.of(utterances)
    assert caplog.messages == [f"utterances listed: {number} so far" for number in (6, 15)]


@pytest.mark.parametrize("limit", ["sources.MOST_FOLDERS", "columns.MOST_SHARED"])
def test_tables_of_many_folders_and_texts_are_the_same(utterances, monkeypatch, limit):
    monkeypatch.setattr(f"mrlspk.data.utterances.{limit}", 1)
    assert UtteranceTable.of(utterances) == utterances


NAMES = ["b", "", "ü/ß", "a\nb", "\udcff", "a", "b", "\U0001f600", "z" * 300, "\uffff"]


def test_packed_texts_are_those_that_came():
    packed = PackedText.of(NAMES)
    assert packed == NAMES
    assert [packed[index] for index in range(-10, 10)] == NAMES * 2
    assert packed[1:9:3] == NAMES[1:9:3]
    assert packed.take(np.array([5, 5, 8])) == ["a", "a", "z" * 300]
    assert [NAMES[row] for row in packed.order()] == sorted(NAMES)
    assert packed.order().tolist().index(0) < packed.order().tolist().index(6)  # equal texts stay in their order
    assert PackedText.of(sorted(NAMES)).first_disorder() == sorted(NAMES).index("b") + 1
    assert PackedText.of(sorted({*NAMES})).first_disorder() is None
    assert bytes(PackedText.of(["a", "b", ""]).lines()) == b"a\nb\n"
    assert packed.take(np.arange(0)) == []


def test_a_table_of_files_takes_a_hundred_bytes_an_utterance():
    def listed(n):
        for number in range(n):
            id_ = f"id{number // 100:05d}/{number // 10:011d}/{number:05d}.wav"
            yield Utterance(id_, id_[:7], id_[:19], FileSource(f"/corpora/voxceleb2/{id_}"))

    small, large = (UtteranceTable.of(listed(n)) for n in (1000, 3000))
    assert len(pickle.dumps(large)) - len(pickle.dumps(small)) < 2000 * 100
    assert len(gc.get_referents(*vars(large).values())) - len(gc.get_referents(*vars(small).values())) == 20  # speakers
