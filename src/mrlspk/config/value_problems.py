"""Say in plain words what is wrong with a value that a pydantic model has refused."""

import json
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

SHORT = reprlib.Repr(maxstring=80, maxother=80)
# What pydantic appends to the location of a key of a union type, and of a key of a mapping.
UNION_TAGS = ("literal[", "constrained-", "[key]", "[path]", "[list]")

_EXPECTED = {
    "bool": "true or false",
    "dict": "keys and values",
    "dataclass": "keys and values",
    "datetime": "a date and time",
    "finite_number": "a finite number",
    "float": "a number",
    "frozen_set": "a list",
    "greater_than": "a number above {gt:,g}",
    "greater_than_equal": "a number of {ge:,g} or more",
    "int": "a whole number",
    "less_than": "a number below {lt:,g}",
    "less_than_equal": "a number of {le:,g} or less",
    "json": "JSON",
    "list": "a list",
    "literal_error": "{expected}",
    "mapping": "keys and values",
    "model": "keys and values",
    "none_required": "null",
    "path": "a path",
    "set": "a list",
    "string": "text",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "text of {max_length} characters or fewer",
    "string_too_short": "text of {min_length} characters or more",
    "timezone": "a time with its zone",
    "too_long": "a list of {max_length} or fewer",
    "too_short": "a list of {min_length} or more",
    "tuple": "a list",
    "union_tag_invalid": "{expected_tags} as {discriminator}",
    "union_tag_not_found": "keys with {discriminator}",
}


def problem_text(problem: ErrorDetails | Mapping[str, Any]) -> str:
    """Return what is wrong with a value: ``expected a whole number``; the text of a validator stays as it is."""
    kind = problem["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known"
    if kind == "json_invalid":
        return f"expected JSON, which is broken at {problem['ctx']['error'].rpartition(' at ')[2]}"
    if kind in {"value_error", "assertion_error"}:
        return str(problem["msg"]).partition(", ")[2]
    return f"expected {_expected(kind, problem.get('ctx', {}))}"


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    words = _EXPECTED.get(kind) or next(
        (words for start, words in _EXPECTED.items() if kind.startswith(f"{start}_")), "another value"
    )
    return words.format(**context)


def problem_lines(problems: Iterable[ErrorDetails]) -> dict[tuple[str, ...], str]:
    """Return what is wrong with each key, by its path; the alternatives of one value are one text.

    A problem of a list or a section is left out if its members have some.
    """
    found: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for problem in problems:
        found.setdefault(key_path(problem), []).append(problem)
    return {
        keys: _joined(same)
        for keys, same in found.items()
        if not any(len(other) > len(keys) and other[: len(keys)] == keys for other in found)
    }


def key_path(problem: ErrorDetails) -> tuple[str, ...]:
    """Return the key of a problem, without what pydantic adds to it."""
    return tuple(part for part in map(str, problem["loc"]) if not part.startswith(UNION_TAGS))


def _joined(problems: list[ErrorDetails]) -> str:
    value = problems[0]["input"]  # a key of a mapping and its value have the same path
    texts = list(dict.fromkeys(problem_text(problem) for problem in problems if problem["input"] is value))
    expected = [text.removeprefix("expected ") for text in texts if text.startswith("expected ")]
    if len(expected) < len(texts) or any(problem["type"] == "value_error" for problem in problems):
        return texts[0]
    brackets = f"; put it in brackets: [{value}]" if expected == ["a list"] and isinstance(value, str) else ""
    return f"expected {' or '.join(expected)}, got {_shown(value)}{brackets}"


def _shown(value: object) -> str:
    """Return a value as YAML writes it, shortened."""
    return json.dumps(value) if value is None or isinstance(value, bool) else SHORT.repr(value)
