from pathlib import Path

import numpy as np
import soundfile

from mrlspk.data.audio.source import FileSource, RangeSource
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.manifest_files.facts import READ, RESUMED, read_facts
from mrlspk.data.manifest_files.journal_lines import Entry
from mrlspk.data.manifest_files.scanning import Scan


def test_facts_of_another_part_of_a_file_are_not_taken_up(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16_000), 16_000)
    one, other = (RangeSource(FileSource(str(path)), 0.0, seconds) for seconds in (0.25, 0.5))
    table = Manifest(Path("x"), [Utterance("a", "s", "t", other)]).utterances
    for source, state in ((one, READ), (other, RESUMED)):
        left = {"a": Entry("a", repr(source), read_facts(source))}
        scan = Scan(table, "/", {}, left)
        scan.read(jobs=1, on_line=[].append)
        assert (scan.count(state), scan.seconds) == (1, 0.5)
