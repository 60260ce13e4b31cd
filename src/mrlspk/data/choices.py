"""Name the choices of the data commands without loading torch."""

from enum import StrEnum


class SameSession(StrEnum):
    """Target trials of which both sides are of one session, that is, lie in one folder."""

    AVOID = "avoid"  # only among speakers of a single session
    NEVER = "never"  # speakers of a single session have no target trials
    ALLOW = "allow"


class Decode(StrEnum):
    """How much audio a check decodes."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"
