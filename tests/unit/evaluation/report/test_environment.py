import pytest

from mrlspk.evaluation.report.environment import breakable, command


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("id1/session_2/00007.wav", ["id1/", "session_", "2/", "00007.wav"]),
        ("/data/a-b", ["/data/", "a-", "b"]),
        ("C:\\voices\\a", ["C:\\voices\\", "a"]),
        ("--trials <b>", ["--trials &lt;b&gt;"]),
        ("a\x1b[31m/b", ["a\\", "x1b[31m/", "b"]),
    ],
)
def test_name_breaks_after_separators_only(text, parts):
    assert str(breakable(text)).split("<wbr>") == parts


def test_flag_of_a_command_does_not_break():
    assert command("mrlspk eval a/b.pt --audio-root <x>") == (
        'mrlspk eval a/<wbr>b.pt <span class="flag">--audio-root</span> &lt;x&gt;'
    )
