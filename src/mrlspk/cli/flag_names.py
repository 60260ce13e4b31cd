"""Replace parameter names in errors and warnings by command-line flags."""

import re
from pathlib import Path

from mrlspk.errors import MrlspkError, shorten

LONGEST_LINE = 1000  # characters of a message; texts from files may have millions

FLAGS = {
    "allow_changes": "--allow-changes",
    "allow_missing": "--allow-missing",
    "allow_untrained_dim": "--allow-untrained-dim",
    "audio_root": "--audio-root",
    "backend": "--backend",
    "baselines": "--baselines",
    "bundle": "--bundle",
    "by": "--by",
    "cache_dir": "--cache-dir",
    "centre": "--centre",
    "channel": "--channel",
    "cohort": "--cohort",
    "compile": "--compile",
    "config": "--config",
    "corpus": "--corpus",
    "decode": "--decode",
    "device": "--device",
    "dim": "--dim",
    "dims": "--dims",
    "drop_unusable": "--drop-unusable",
    "durations": "--durations",
    "enroll": "--enroll",
    "expect": "--expect",
    "false_accept_rate": "--false-accept-rate",
    "far": "--far",
    "fastest": "--fastest",
    "flatten": "--flatten",
    "folder": "--folder",
    "force": "--force",
    "format": "--format",
    "from_csv": "--from-csv",
    "from_folder": "--from-folder",
    "ids": "--ids",
    "ignore": "--ignore",
    "init_from": "--init-from",
    "input": "--from",
    "k": "-k",
    "limit_mib": "--vram-limit",
    "margin": "--margin",
    "match": "--match",
    "metadata": "--metadata",
    "method": "--method",
    "min_speech_seconds": "--min-speech-seconds",
    "model": "--model",
    "name": "--name",
    "offline": "--offline",
    "order": "--order",
    "output": "--output",
    "p_target": "--p-target",
    "precision": "--precision",
    "profiles": "--profiles",
    "quality": "--quality",
    "recall": "--recall",
    "report": "--report",
    "resume": "--resume",
    "score_norm": "--score-norm",
    "scores": "--scores",
    "set": "--set",
    "sha256": "--sha256",
    "shard_size": "--shard-size",
    "speakers": "--speakers",
    "speech": "--speech",
    "top_n": "--top-n",
    "update": "--update",
    "trials": "--trials",
    "trust_code": "--trust-code",
    "vectors": "--vectors",
    "verify": "--verify",
    "where": "--where",
    "yes": "--yes",
}
_MENTION = re.compile(r"`(\w+)(?:=([^`]*))?`")


def with_flags(text: str) -> str:
    """Return a text in which ```name``` and ```name=value``` of a parameter are ``--name`` and ``--name value``."""
    return _MENTION.sub(_flag, text)


def error_text(error: MrlspkError) -> str:
    """Return an error as the command line shows it."""
    places = [FLAGS.get(error.parameter, error.parameter)] if error.parameter is not None else []
    if error.where is not None:
        places.append(str(error.where) if isinstance(error.where, Path) else with_flags(error.where))
    text = ": ".join([*([", ".join(places)] if places else []), with_flags(error.what)])
    lines = [*text.split("\n"), *([with_flags(error.fix)] if error.fix else [])]
    return "\n".join(shorten(line, LONGEST_LINE) for line in lines)


def _flag(mention: re.Match[str]) -> str:
    name, value = mention.groups()
    if name not in FLAGS:
        return mention[0]
    return FLAGS[name] if value in {None, "True"} else f"{FLAGS[name]} {value}"
