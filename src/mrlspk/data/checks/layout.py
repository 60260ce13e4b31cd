"""Check where the audio of a corpus lies."""

from collections.abc import Iterator, Sequence

from mrlspk.data.left_out import named
from mrlspk.data.problems import Problem, warning


def check_layout(left_out: Sequence[str], layout: str) -> Iterator[Problem]:
    """Count audio that is in no speaker's folder, by top folder and depth."""
    misplaced: dict[tuple[str, int], list[str]] = {}
    for path in left_out:
        top, *rest = path.split("/")
        misplaced.setdefault((top, len(rest)), []).append(path)
    for (top, _), paths in misplaced.items():
        yield warning("layout", top, f"expected {layout}: left out {named('file', paths)}")
