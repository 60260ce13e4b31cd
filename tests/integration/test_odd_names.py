"""Names that other programs take for URLs, patterns or options are files in every command."""

import numpy as np
import pytest
import soundfile

from factories import write_tiny_model


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "model.pt", (4, 8))


NAMES = (
    "10:30:00.wav", "http:x.wav", "file:x.wav", "pipe:0.wav", "a#b.wav", "a?b=c&d.wav", "concat:a.mp3|b.wav",
    "100%s%d.wav", "%2e.wav", "-n.wav", "a\nb.wav", "a\u2028b.wav", "subfile,,start,0,,:x.wav", "@list.wav", "[a]*.wav",
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_names_that_look_like_urls_are_files(run, tmp_path, model, tiny_corpus, monkeypatch, suffix):
    samples, rate = soundfile.read(tiny_corpus.root / tiny_corpus.utterance_ids[0])
    (tmp_path / "in" / "s").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in" / "s")
    names = [name.replace(".wav", suffix) for name in NAMES]
    for name in names:
        soundfile.write(name, samples, rate, format=suffix[1:].upper())
    typed = run("embed", "--model", model, "--json", "--", *names)
    assert typed.json["errors"] == []
    assert [each["id"] for each in typed.json["embeddings"]] == names
    assert len({tuple(each["embedding"]) for each in typed.json["embeddings"]}) == 1
    listed = [name for name in names if "\n" not in name]
    (tmp_path / "list.txt").write_text("\r\n".join(listed))
    from_list = run("embed", tmp_path / "list.txt", "--model", model, "--json").json
    assert [each["id"] for each in from_list["embeddings"]] == listed
    folder = run("embed", ".", "--model", model, "--json")
    assert sorted(each["id"] for each in folder.json["embeddings"]) == sorted(names)
    checked = run("data", "check", "..", "--decode", "all", "--json")
    assert {each["kind"] for each in checked.json["problems"]} == {"name"}  # of those with white space


PLAYLISTS = {
    "list.m3u": "#EXTM3U\n#EXTINF:1,one\n{good}\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n",
    "list.pls": "[playlist]\nFile1={good}\nNumberOfEntries=1\n",
    "concat.m4a": "ffconcat version 1.0\nfile '{good}'\n",
    "concat.wav": "ffconcat version 1.0\nfile '{good}'\n",
    "hls.mp3": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n",
    "talk.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


def test_playlists_are_refused_and_never_followed(run, tmp_path, model, tiny_corpus, monkeypatch):
    good = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    (tmp_path / "in" / "s").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in" / "s")
    (tmp_path / "in" / "s" / "good.wav").write_bytes(good.read_bytes())
    for name, text in PLAYLISTS.items():
        (tmp_path / "in" / "s" / name).write_text(text.format(good="good.wav"))
    outcome = run("embed", *PLAYLISTS, "good.wav", "--model", model, "--json")
    assert outcome.exit_code == 3
    assert [each["id"] for each in outcome.json["embeddings"]] == ["good.wav"]
    assert {each["id"] for each in outcome.json["errors"]} == {*PLAYLISTS}
    messages = [each["message"] for each in outcome.json["errors"]]
    assert all("a playlist" in message or "cannot be decoded" in message for message in messages)
    checked = run("data", "check", "..", "--json").json["problems"]
    assert {each["where"] for each in checked if each["kind"] == "unreadable"} == {
        "s/concat.m4a", "s/concat.wav", "s/hls.mp3",
    }  # fmt: skip


def test_ids_of_channels_are_no_names_of_files(run, tmp_path, model, tiny_corpus, monkeypatch):
    samples, rate = soundfile.read(tiny_corpus.root / tiny_corpus.utterance_ids[0])
    monkeypatch.chdir(tmp_path)
    for name in ("call.wav", "call.wav#0"):
        soundfile.write(name, np.stack([samples, samples[::-1]], axis=1), rate, format="WAV")
    both = "call.wav", "call.wav#0", "--channel", "each", "--model", model, "--json"
    ids = [each["id"] for each in run("embed", *both).json["embeddings"]]
    assert ids == ["call.wav#0", "call.wav#1", "call.wav#0#0", "call.wav#0#1"]
    (tmp_path / "call.wav#0").write_text("no audio")
    outcome = run("embed", *both)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "call.wav#0: is the id of a channel and the name of a file that cannot be read" in outcome.stderr
