"""Whether target trials may be within a session; kept free of torch, so that the command line can name the choices."""

from enum import StrEnum


class SameSession(StrEnum):
    """Target trials of which both sides are of one session, that is, lie in one folder."""

    AVOID = "avoid"  # only among speakers of a single session
    NEVER = "never"  # speakers of a single session have no target trials
    ALLOW = "allow"
