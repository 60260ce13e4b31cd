"""Enumerate the option values of the data commands; imports no torch."""

from enum import StrEnum

AUTO = "auto"
CORPUS_NAMES = (
    "folders", "cn-celeb", "common-voice", "librispeech", "shards", "speechocean762", "voxblink2", "voxceleb1",
    "voxceleb2",
    "manifest", "nemo", "kaldi", "lhotse",
)  # fmt: skip


class SameSession(StrEnum):
    """Whether both sides of a target trial may be of one session."""

    AVOID = "avoid"  # only for speakers with a single session
    NEVER = "never"  # so that speakers with a single session have no target trials
    ALLOW = "allow"


class Decode(StrEnum):
    """How much audio a check decodes."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"
