"""Tell by its header whether a member of a tar is still where an index says."""

BLOCK = 512  # bytes of a header
NAME, SIZE, PREFIX = slice(0, 100), slice(124, 136), slice(345, 500)
LARGEST_OCTAL = 8**11  # sizes from here on are written in other ways


def is_header_of(header: bytes, name: str, length: int) -> bool:
    """Return whether a header in front of a member is of this name and length.

    Of a name that is not ASCII, or too long for the header, only as much is compared as the header has.
    """
    if len(header) != BLOCK:
        return False
    size = header[SIZE].strip(b"\0 ")
    if length < LARGEST_OCTAL and not (size.isdigit() and int(size, 8) == length):
        return False
    if not name.isascii():
        return True
    stored, is_split = header[NAME].rstrip(b"\0").decode("latin-1"), header[PREFIX.start] != 0
    return bool(stored) and (name.endswith(stored) if is_split else name.startswith(stored))
