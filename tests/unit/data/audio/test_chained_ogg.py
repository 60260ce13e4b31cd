import numpy as np
import pytest
import soxr
from tests.encoded_audio import write_by, write_by_ffmpeg
from tests.unit.data.audio.test_ffmpeg import count, open_ffmpeg, read

from mrlspk.data.audio.source import as_source
from mrlspk.errors import DataError

RATE = 16_000
ENCODERS = {
    "vorbis": ("oggenc -Q -o OUT IN", "ogg"),
    "opus": ("opusenc --quiet IN OUT", "opus"),
    "flac": ("flac --totally-silent --ogg -o OUT IN", "oga"),
    "speex": ("speexenc --quiet IN OUT", "spx"),
}


@pytest.fixture(params=ENCODERS)
def links(request, tmp_path, noise):
    """Three files of one codec: mono at 16 kHz, stereo at 32 kHz, mono at 16 kHz."""
    tool, suffix = ENCODERS[request.param]
    wide = np.repeat(soxr.resample(noise[:32_000], RATE, 32_000)[:, None], 2, axis=1)
    return [
        write_by(tool, tmp_path / f"a.{suffix}", noise),
        write_by(tool, tmp_path / f"b.{suffix}", wide, 32_000),
        write_by(tool, tmp_path / f"c.{suffix}", noise[:20_001]),
    ]


def chain(links):
    path = links[0].with_name(f"chained{links[0].suffix}")
    path.write_bytes(b"".join(link.read_bytes() for link in links))
    return path


def test_links_of_one_rate_are_read_one_after_the_other(links):
    first, _, last = links
    whole = read(chain([first, last, first]))
    np.testing.assert_array_equal(whole, np.concatenate([read(first), read(last), read(first)]))


def test_links_of_other_rates_and_channels_are_converted(links):
    first, wide, last = links
    path = chain(links)
    stream = open_ffmpeg(as_source(path))
    assert stream.channels == 1
    stream.close()
    whole, second = read(path), read(wide)
    rate = 48_000 if path.suffix == ".opus" else RATE
    n_first, n_last = len(read(first)), len(read(last))
    n_second = len(second) if rate == 48_000 else round(len(second) / 2)
    assert len(whole) == n_first + n_second + n_last == count(path)
    np.testing.assert_array_equal(whole[:n_first], read(first))
    np.testing.assert_array_equal(whole[-n_last:], read(last))
    between = whole[n_first : n_first + n_second, 0]
    expected = soxr.resample(second.mean(axis=1), 32_000, RATE) if rate == RATE else second.mean(axis=1)
    np.testing.assert_allclose(between[500:-500], expected[500 : len(between) - 500], atol=1e-3)


def test_a_range_of_a_chain_is_a_slice_of_the_whole(links):
    path = chain(links)
    whole = read(path)
    for start in (1, 40_000, len(read(links[0])) + 5000, len(whole) - 8000):
        np.testing.assert_allclose(read(path, start), whole[start:], atol=1e-4)


def test_a_chain_that_is_cut_short_is_an_error(links):
    path = chain(links)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match="cut short: its last Ogg page is incomplete"):
        open_ffmpeg(as_source(path))


def test_damage_in_one_link_is_told(noise, tmp_path):
    path = write_by_ffmpeg(tmp_path / "a.opus", noise, "-page_duration 20000")
    content = bytearray(path.read_bytes())
    content[12_000:12_100] = bytes(100)
    damaged = tmp_path / "chained.opus"
    damaged.write_bytes(bytes(content) + path.read_bytes())
    stream = open_ffmpeg(as_source(damaged))
    assert sum(map(len, stream.blocks())) == 2 * len(read(path))
    assert stream.damage is not None
    assert stream.damage.endswith("s could not be decoded")
    stream.close()
