"""The blocks of docs/python-api.md; run as a program, they and their types on stdout, for scripts/check_types.sh."""

import re
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TYPES = """
from numpy.typing import NDArray
from typing import assert_type
assert_type(encoder, mrlspk.SpeakerEncoder)
assert_type(encoder.embed("a.wav"), NDArray[np.float32])
assert_type(found, mrlspk.EmbeddedAudio)
assert_type(found.embedding, NDArray[np.float32] | None)
assert_type(found.unwrap(), NDArray[np.float32])
assert_type(found.error, mrlspk.MrlspkError | None)
assert_type(encoder.similarity("a.wav", found), float)
assert_type(encoder.speech_seconds(samples), float)
assert_type(mrlspk.cosine(voice, voice), float)
assert_type(index, mrlspk.VoiceIndex)
assert_type(who.name, str | None)
assert_type(checked.same, bool | None)
assert_type(mrlspk.cosine_matrix(voices, voices), NDArray[np.float64])
"""

if __name__ == "__main__":
    sys.stdout.write("\n".join([*BLOCKS, TYPES]))
