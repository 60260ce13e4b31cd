import io

from mrlspk.data.audio.ogg_links import find_links, is_ogg, read_end

BEGIN, END = 2, 4


def page(serial: bytes, flags: int = 0, content: bytes = b"x" * 300) -> bytes:
    """Return an Ogg page (RFC 3533, section 6); nobody here reads its checksum."""
    segments = bytes([255] * (len(content) // 255) + [len(content) % 255])
    return b"OggS\0" + bytes([flags]) + bytes(8) + serial + bytes(8) + bytes([len(segments)]) + segments + content


def links(*pages: bytes) -> list[tuple[int, int]]:
    content = b"".join(pages)
    return find_links(io.BytesIO(content), len(content))


ONE = [page(b"aaaa", BEGIN), page(b"aaaa"), page(b"aaaa", END)]
LENGTH = 3 * len(page(b"aaaa"))


def test_a_file_of_one_link_is_one():
    assert links(*ONE) == [(0, LENGTH)]


def test_streams_that_begin_together_are_one_link():
    pages = [page(b"aaaa", BEGIN), page(b"bbbb", BEGIN), page(b"aaaa"), page(b"bbbb", END)]
    assert links(*pages) == [(0, 4 * len(page(b"aaaa")))]


def test_each_link_has_its_extent():
    assert links(*ONE, *ONE, page(b"cccc", BEGIN), page(b"cccc")) == [
        (0, LENGTH),
        (LENGTH, 2 * LENGTH),
        (2 * LENGTH, 2 * LENGTH + LENGTH * 2 // 3),
    ]


def test_the_end_tells_a_cut_page_and_the_mark():
    content = b"".join(ONE)
    end = read_end(io.BytesIO(content), len(content))
    assert (end.is_cut, end.is_marked) == (False, True)
    assert read_end(io.BytesIO(content[:-1]), len(content) - 1).is_cut
    content = b"".join(ONE[:2])
    assert not read_end(io.BytesIO(content), len(content)).is_marked
    assert read_end(io.BytesIO(b"no page"), 7) is None


def test_ogg_is_told_by_its_first_bytes():
    assert is_ogg(io.BytesIO(ONE[0]))
    assert not is_ogg(io.BytesIO(b"RIFF"))
