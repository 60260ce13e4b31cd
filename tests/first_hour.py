"""Describe what happens to somebody in the first hour with mrlspk, and check what they are told."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# Words that only a library or a traceback would say.
FOREIGN = re.compile(
    r"Traceback|File \"|pydantic|Input should|Field required|Extra inputs|errors\.pydantic|[Ll]ightning|"
    r"torch\.(?!compile)\w+\.|size mismatch for|Missing key\(s\)|UserWarning|"
    r"FutureWarning|RuntimeError|ValueError|KeyError|"
    r"Invalid value|No such (?:option|command)|Missing (?:option|argument|command)|Got unexpected"
)


@dataclass(frozen=True)
class Situation:
    """What is typed, the exit code, and the sentences that the user needs.

    Attributes:
        name: Condition and result in a few words, which name the test.
        words: What is typed after ``mrlspk``. ``{model}`` is a tiny model; ``prepare`` may return other values.
        exit_code: Of the command.
        says: Parts of what is printed, on either stream, each of which has to be there.
        prepare: Makes the files in the current folder; it may return values for further placeholders.
    """

    name: str
    words: tuple[str, ...]
    exit_code: int
    says: tuple[str, ...]
    prepare: Callable[[], dict[str, object] | None] | None = None


def check(situation: Situation, run: Callable[..., object], **values: object) -> None:
    """Run the command of a situation; check exit code and sentences, and that no library speaks.

    Args:
        situation: What to check.
        run: The fixture that runs commands.
        values: For the placeholders.
    """
    values |= (situation.prepare() if situation.prepare else None) or {}
    outcome = run(*(word.format(**values) for word in situation.words))
    said = " ".join(f"{outcome.stdout}\n{outcome.stderr}".split())
    assert outcome.exit_code == situation.exit_code, said
    assert [part for part in situation.says if part.format(**values) not in said] == [], said
    assert FOREIGN.search(said) is None, said
