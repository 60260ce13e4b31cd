"""JSON document of ``data check`` for tests of reports."""

from collections import Counter

import numpy as np

from mrlspk.data.checks.contents import Contents, Format, spread
from mrlspk.data.checks.summary import problem_summary
from mrlspk.data.problems import error, warning


def corpus_document(names=("ls00118/1/00001.m4a",), *, path="speech/train"):
    """Return the document of a corpus with a problem of two kinds at each of some places."""
    problems = [error("unreadable", name, f"cannot be read: {name}") for name in names]
    problems += [warning("silent", name, "expected speech, got silence") for name in names]
    formats = Counter({Format("aac", 16_000, 1): 3, Format("pcm_s16", 48_000, 2): 1})
    contents = Contents(np.array([1.5, 2.5, 30.0, 1200.0], np.float32), formats)
    normal = {"mean": 1.0, "deviation": 0.1}
    parting = {"same": normal, "different": {"mean": 0.0, "deviation": 0.2}, "share": 0.01}
    return {
        "schema_version": 2,
        "command": "data check",
        "mrlspk_version": "1",
        "warnings": [],
        "path": path,
        "corpus": "folders",
        "speakers": 3,
        "utterances": 4,
        "seconds": 1234.0,
        "decoded": 4,
        "contents": {"files_per_speaker": spread([1, 1, 2])} | contents.values(),
        "problems": [vars(each) | {"fix": "Mend it."} for each in problems],
        "kinds": problem_summary(problems),
        "ignored": {"dc_offset": 2},
        "ok": False,
        "left_out": [{"path": f"{path}/a.raw", "reason": "format"}, {"path": f"{path}/b.raw", "reason": "format"}],
        "voices": {"embedded": 4, "two_voices": parting | {"threshold": 0.52}, "one_voice": parting},
    }
