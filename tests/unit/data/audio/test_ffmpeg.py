import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import soundfile
import soxr
from tests.encoded_audio import write_by, write_by_ffmpeg, write_lossy
from tests.unit.data.audio.conftest import FILES, MADE_FROM_M4A, N_SAMPLES, RATE

from mrlspk.data.audio import ffmpeg_pass
from mrlspk.data.audio.ffmpeg import open_ffmpeg
from mrlspk.data.audio.source import as_source
from mrlspk.errors import DataError

NAMES = [*FILES, *MADE_FROM_M4A]
EXACT = {"m4a", "jittered m4a", "fragmented", "adts", "mka", "mpegts"}
DITHERED = {"ac3"}  # the decoder adds noise that depends on what it decoded before


def read(path, start=0):
    stream = open_ffmpeg(as_source(path))
    try:
        return np.concatenate([np.zeros((0, stream.channels), np.float32), *stream.blocks(start)])
    finally:
        stream.close()


def count(path):
    stream = open_ffmpeg(as_source(path))
    try:
        return stream.count_frames()
    finally:
        stream.close()


def decode_by_program(path, rate):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(rate), "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_range_is_a_slice_of_the_whole(encoded, name):
    whole = read(encoded(name))
    for start in (1, 20_000, len(whole) // 2, len(whole) - 3000, len(whole) - 10):
        part = read(encoded(name), start)
        assert part.shape == whole[start:].shape
        if name in EXACT:
            np.testing.assert_array_equal(part, whole[start:])
        elif name not in DITHERED:
            np.testing.assert_allclose(part, whole[start:], atol=1e-4)
    assert len(read(encoded(name), len(whole) + 5)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_counted_as_they_are_decoded(encoded, name):
    assert count(encoded(name)) == len(read(encoded(name)))


@pytest.mark.parametrize("name", ["m4a", "alac", "mp3", "vorbis", "ogg flac", "adts", "mka", "opus"])
def test_the_whole_is_what_the_program_ffmpeg_decodes(encoded, name):
    ours = read(encoded(name))[:, 0]
    theirs = decode_by_program(encoded(name), 48_000 if name == "opus" else RATE)
    assert 0 <= len(theirs) - len(ours) <= 1024  # older versions keep the padding at the end
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-4)


@pytest.mark.parametrize("name", ["m4a", "jittered m4a", "alac", "mp3", "opus", "vorbis", "ogg flac"])
def test_length_and_place_are_those_of_the_recording(encoded, noise, name):
    stream = open_ffmpeg(as_source(encoded(name)))
    rate = stream.sample_rate
    decoded = soxr.resample(np.concatenate(list(stream.blocks()))[:, 0], rate, RATE)
    stream.close()
    assert abs(len(decoded) - N_SAMPLES) <= 1
    lags = range(-40, 41)
    likeness = [np.dot(decoded[1000 + lag : 41_000 + lag], noise[1000:41_000]) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0


def test_the_rate_is_that_of_decoded_samples(encoded):
    stream = open_ffmpeg(as_source(encoded("he-aac")))
    assert stream.sample_rate == 2 * RATE
    assert len(read(encoded("he-aac"))) == 2 * N_SAMPLES
    stream.close()


def test_blocks_last_about_a_second_whatever_else_is_read(encoded):
    stream = open_ffmpeg(as_source(encoded("m4a")))
    first, second = stream.blocks(), stream.blocks(20_000)
    pairs = list(zip(first, second, strict=False))
    assert all(RATE <= len(block) < 1.1 * RATE for block, _ in pairs[:2])
    np.testing.assert_array_equal(
        np.concatenate([block for _, block in pairs])[:9000], read(encoded("m4a"))[20_000:29_000]
    )
    stream.close()


@pytest.mark.process  # a mistake here ends the process
@pytest.mark.parametrize("name", ["m4a", "webm", "mp3"])
def test_blocks_end_when_the_stream_is_closed(encoded, name):
    code = (
        "import sys; from mrlspk.data.audio.ffmpeg import open_ffmpeg; from mrlspk.data.audio.source import as_source;"
        "stream = open_ffmpeg(as_source(sys.argv[1])); blocks = stream.blocks(); next(blocks); stream.close();"
        "sys.exit(len(list(blocks)))"
    )
    assert subprocess.run([sys.executable, "-c", code, encoded(name)], check=False).returncode == 0


@pytest.mark.parametrize("name", ["m4a", "mp3", "opus"])
def test_many_threads_read_at_once(encoded, name):
    whole = read(encoded(name))
    starts = range(0, 40_000, 2500)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda start: read(encoded(name), start), starts))
    for start, part in zip(starts, parts, strict=True):
        np.testing.assert_allclose(part, whole[start:], atol=1e-6)


@pytest.mark.process
def test_forked_processes_read(encoded):
    whole = read(encoded("m4a"))
    with get_context("fork").Pool(2) as pool:
        assert pool.starmap_async(count, [(encoded("m4a"),)] * 4).get(timeout=60) == [len(whole)] * 4


@pytest.mark.parametrize("name", ["mp3", "vorbis", "opus", "webm", "speex", "ogg flac"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_cut_file_is_an_error(encoded, tmp_path, name, share):
    content = encoded(name).read_bytes()
    path = tmp_path / encoded(name).name
    path.write_bytes(content[: round(share * len(content))])
    for reading in (read, count):
        with pytest.raises(DataError, match="cut short") as caught:
            reading(path)
        assert caught.value.where == str(path)


def test_a_cut_mp3_tells_how_much_of_it_is_there(encoded, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("mp3").read_bytes()[:6000])
    with pytest.raises(DataError, match=r"cut short: expected 3\.8 s, got 1\.9 s"):
        read(path)


def test_mp4_cut_behind_its_index_is_an_error(tmp_path, noise):
    path = write_by_ffmpeg(tmp_path / "a.m4a", noise, "-movflags +faststart")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"cut short: expected 3\.7 s, got 2\.. s"):
        read(path)


def test_an_mp3_header_that_counts_too_few_frames_hides_nothing(encoded, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("mp3").read_bytes() * 2)
    assert len(read(path)) == count(path) > 2 * N_SAMPLES


def damage(path, target, place, n_bytes):
    content = bytearray(path.read_bytes())
    content[place : place + n_bytes] = bytes(n_bytes)
    target.write_bytes(content)
    return target


def test_little_that_cannot_be_decoded_becomes_silence_and_is_told(tmp_path, encoded):
    whole = read(encoded("m4a"))
    stream = open_ffmpeg(as_source(damage(encoded("m4a"), tmp_path / "a.m4a", 20_000, 30)))
    samples = np.concatenate(list(stream.blocks()))
    assert stream.damage == "0.06 s could not be decoded"
    assert len(samples) == len(whole)
    np.testing.assert_array_equal(samples[-15_000:], whole[-15_000:])
    stream.close()


def test_a_last_packet_that_is_cut_is_told(tmp_path, encoded):
    path = tmp_path / "a.aac"
    path.write_bytes(encoded("adts").read_bytes()[:20_000])
    stream = open_ffmpeg(as_source(path))
    assert sum(map(len, stream.blocks())) == count(path) > 30_000
    assert stream.damage == "0.06 s could not be decoded"
    stream.close()


def test_much_that_cannot_be_decoded_is_an_error(tmp_path, encoded):
    path = damage(encoded("m4a"), tmp_path / "a.m4a", 10_000, 5000)
    with pytest.raises(DataError, match=r"0\.. of 3\.7 s cannot be decoded"):
        read(path)


@pytest.mark.process
def test_ffmpeg_writes_nothing_to_stderr(tmp_path, encoded, capfd):
    read(damage(encoded("m4a"), tmp_path / "a.m4a", 20_000, 30))
    (tmp_path / "b.mp3").write_bytes(b"no audio" * 1000)
    with pytest.raises(DataError):
        read(tmp_path / "b.mp3")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["aac", "mp3"])
def test_later_parts_are_brought_to_the_first_rate_and_channels(tmp_path, noise, suffix):
    stereo = np.stack([noise, noise], axis=1)
    first = write_lossy(tmp_path / f"a.{suffix}", noise)
    second = write_by_ffmpeg(tmp_path / f"b.{suffix}", soxr.resample(stereo, RATE, 44_100), "", 44_100)
    joined = tmp_path / f"c.{suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    whole = read(joined)
    assert whole.shape[1] == 1
    assert abs(len(whole) - 2 * N_SAMPLES) < 0.3 * RATE  # delays of encoders, an MP3 frame at the first rate
    assert count(joined) == len(whole)
    for start in (30_000, 80_000, 110_000):
        np.testing.assert_allclose(read(joined, start), whole[start:], atol=1e-4)
    begin = len(read(first)) + 30_000
    lags = range(-3000, 3000, 5)
    likeness = [np.dot(whole[begin + lag : begin + lag + 20_000, 0], noise[30_000:50_000]) for lag in lags]
    assert 0 <= lags[int(np.argmax(likeness))] < 0.15 * RATE  # the delay of the second encoder, tag and padding of MP3


def test_header_that_no_decoder_accepts_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1_600), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[22:24] = (45_569).to_bytes(2, "little")  # channels
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match="cannot be decoded as .wav audio .FFmpeg: Invalid argument"):
        open_ffmpeg(as_source(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", ["vorbis", "opus", "speex", "ogg flac"])
def test_ogg_without_an_end_mark_is_read_and_told(encoded, tmp_path, name):
    content = encoded(name).read_bytes()
    path = tmp_path / encoded(name).name
    path.write_bytes(content[: content.rindex(b"OggS\0")])  # as of a program that was killed
    stream = open_ffmpeg(as_source(path))
    assert next(iter(stream.blocks())).size
    assert stream.damage is None
    assert sum(map(len, stream.blocks())) > 0.5 * stream.sample_rate
    assert stream.damage == "its last Ogg page is not marked as the end"
    stream.close()


@pytest.fixture(scope="module", params=["m4a", "mp3", "opus", "webm"])
def minute(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("minute") / f"a.{request.param}"
    return write_by_ffmpeg(path, np.random.default_rng(1).normal(0, 0.1, 60 * RATE), "-b:a 32k")


def test_a_late_range_decodes_little_before_it(minute, monkeypatch):
    decoded = []
    decode = ffmpeg_pass._decode
    monkeypatch.setattr(ffmpeg_pass, "_decode", lambda packet: decoded.append(packet.size) or decode(packet))
    stream = open_ffmpeg(as_source(minute))
    rest = sum(map(len, stream.blocks(59 * stream.sample_rate))) / stream.sample_rate
    stream.close()
    assert rest == pytest.approx(1.0, abs=0.1)
    assert sum(decoded) < 0.06 * minute.stat().st_size
    decoded.clear()
    assert count(minute) / stream.sample_rate == pytest.approx(60.0, abs=0.1)
    assert sum(decoded) < 0.02 * minute.stat().st_size


def test_a_minute_is_never_in_memory_as_a_whole(minute):
    stream = open_ffmpeg(as_source(minute))
    tracemalloc.start()
    for block in stream.blocks():
        assert len(block) < 1.2 * stream.sample_rate
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stream.close()
    assert peak < 8 * 4 * stream.sample_rate  # eight seconds


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.oga", "-c:a flac", 2**-15),  # 16 bits, channels in turn
        ("a.m4a", "-c:a alac", 2**-15),  # 16 bits, channel after channel
        ("a.mka", "-c:a pcm_u8", 2**-7),
        ("a.mka", "-c:a pcm_s24le", 2**-15),
        ("a.mka", "-c:a pcm_f64le", 2**-15),
    ],
)
def test_samples_of_any_kind_become_floats_of_each_channel(tmp_path, noise, name, options, tolerance):
    stereo = np.stack([noise, -noise / 2], axis=1)[:9000]
    np.testing.assert_allclose(read(write_by_ffmpeg(tmp_path / name, stereo, options)), stereo, atol=tolerance)


def test_pauses_of_amr_are_silence_and_no_damage(tmp_path):
    speech = np.random.default_rng(0).normal(0, 0.1, 8_000)
    path = write_by(
        "sox IN -t amr-nb OUT", tmp_path / "a.amr", np.concatenate([speech, np.zeros(16_000), speech]), 8_000
    )
    stream = open_ffmpeg(as_source(path))
    samples = np.concatenate(list(stream.blocks()))[:, 0]
    assert (len(samples), stream.damage) == (32_000, None)
    assert np.abs(samples[16_000:22_000]).max() == 0 < samples[26_000:].std()
    assert stream.count_frames() == 32_000
    np.testing.assert_allclose(np.concatenate(list(stream.blocks(30_000)))[:, 0], samples[30_000:], atol=1e-4)
