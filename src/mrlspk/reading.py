"""Read files and parse YAML and JSON; every fault is one error that names the file and the place."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mrlspk.errors import MrlspkError, shorten

CHUNK_BYTES = 1 << 20
LARGEST_LIST = 1 << 34  # bytes of a text file with a line for each trial or utterance; 250 million trials
LARGEST_SETTINGS = 1 << 24  # bytes of a file of settings
DEEPEST, NESTED = 50, "nested too deeply"  # no setting is deeper than six

# What PyYAML's constructors raise for a value that does not fit its tag: `2026-13-45`, `!!bool x`, `!!int ""`.
_CONSTRUCTOR_ERRORS = (ValueError, LookupError, AttributeError, TypeError, OverflowError)


@contextmanager
def reading(path: Path | str, error_type: type[MrlspkError], fix: str | None = None) -> Iterator[None]:
    """Turn an error of the system about ``path`` into ``error_type``.

    Raises:
        MrlspkError: Of type ``error_type``, if no file can have this name or the block raises OSError.
    """
    try:
        if b"\0" in os.fsencode(path):
            raise error_type("no file has a NUL character in its name", path, fix)
        yield
    except OSError as error:
        is_below = str(error.filename).startswith(f"{path}/")  # the folder or file at fault, in a tree
        where = error.filename if is_below else path
        raise error_type(f"cannot be read: {error.strerror or error}", where, fix) from error
    except UnicodeEncodeError as error:
        raise error_type("no file has such a name: it is not Unicode text", path, fix) from error


def is_file(path: Path, error_type: type[MrlspkError], fix: str | None = None) -> bool:
    """Return whether ``path`` is a file; False too if no file can have this name.

    Raises:
        MrlspkError: Of type ``error_type``, if that cannot be found out.
    """
    if _is_impossible(path):
        return False
    with reading(path, error_type, fix):
        return path.is_file()


def is_folder(path: Path, error_type: type[MrlspkError], fix: str | None = None) -> bool:
    """Return whether ``path`` is a folder; False too if no folder can have this name.

    Raises:
        MrlspkError: Of type ``error_type``, if that cannot be found out.
    """
    if _is_impossible(path):
        return False
    with reading(path, error_type, fix):
        return path.is_dir()


def _is_impossible(path: Path) -> bool:
    """Return whether the name holds a NUL, is not Unicode text, or is too long for its file system."""
    try:
        path.lstat()
    except ValueError:
        return True
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def read_bytes(
    path: Path, error_type: type[MrlspkError], fix: str | None = None, *, most_bytes: int = LARGEST_SETTINGS
) -> bytes:
    """Return the content of a text file, or its beginning with the first NUL, which is in no text.

    Raises:
        MrlspkError: Of type ``error_type``, if it cannot be read or has more than ``most_bytes``.
    """
    content = bytearray()
    with reading(path, error_type, fix), path.open("rb") as file:
        found = os.fstat(file.fileno())
        is_larger = stat.S_ISREG(found.st_mode) and found.st_size > most_bytes
        while not is_larger and (chunk := file.read(CHUNK_BYTES)):  # a pipe or device has no size
            content += chunk
            is_larger = len(content) > most_bytes
            if b"\0" in chunk:  # a damaged file of many gigabytes is not read to its end
                break
    if is_larger:
        raise error_type(f"is too large: expected at most {most_bytes:,} bytes", path, fix)
    return bytes(content)


def read_text(
    path: Path, error_type: type[MrlspkError], fix: str | None = None, *, most_bytes: int = LARGEST_SETTINGS
) -> str:
    """Return the text of a file without the byte order mark that Windows writes.

    Raises:
        MrlspkError: Of type ``error_type``, if it cannot be read, is not text in UTF-8, or is too large.
    """
    return as_text(read_bytes(path, error_type, fix, most_bytes=most_bytes), path, error_type, fix)


def as_text(content: bytes, where: Path | str, error_type: type[MrlspkError], fix: str | None = None) -> str:
    """Return bytes as text without a byte order mark.

    Raises:
        MrlspkError: Of type ``error_type``, if they are not UTF-8 or hold a NUL.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text: byte {error.start + 1} is 0x{content[error.start]:02x}"
        raise error_type(what, where, fix) from error
    if "\0" in text:
        raise error_type(f"is not UTF-8 text: character {text.index('\0') + 1} is NUL", where, fix)
    return text


def parse_yaml(text: str, where: Path | str, error_type: type[MrlspkError], fix: str | None = None) -> Any:
    """Return the value of a YAML document; ``where`` is its file, or the variable or flag that holds it.

    Raises:
        MrlspkError: Of type ``error_type``, if it is not YAML; the message names the line.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise error_type(f"is not YAML: {_yaml_problem(error)}", where, fix) from error


def read_yaml(path: Path, error_type: type[MrlspkError], fix: str | None = None) -> Any:
    """Return the value of a YAML file.

    Raises:
        MrlspkError: Of type ``error_type``, if it cannot be read or is not YAML.
    """
    return parse_yaml(read_text(path, error_type, fix), path, error_type, fix)


def parse_json(text: str | bytes, where: Path | str, error_type: type[MrlspkError], fix: str | None = None) -> Any:
    """Return the value of a JSON document; ``where`` is its file, or its file and line.

    Raises:
        MrlspkError: Of type ``error_type``, if it is not JSON; the message names the line and column.
    """
    try:
        return load_json(text)
    except ValueError as error:
        raise error_type(f"is not JSON: {error}", where, fix) from error


def load_json(text: str | bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: If it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(NESTED) from error


class _Loader(yaml.SafeLoader):
    """The safe loader of PyYAML, whose every fault is a YAMLError with a line."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(problem=NESTED, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            other = first.setdefault((key.tag, key.value), key)
            if other is not key:
                problem = f"{shorten(key.value)} is given in line {other.start_mark.line + 1} already"
                raise yaml.composer.ComposerError(problem=problem, problem_mark=key.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - of PyYAML
        try:
            value = super().construct_object(node, deep=deep)
            if isinstance(value, int):
                str(value)  # hexadecimal digits are read without a limit, but no error could show such a number
            return value
        except _CONSTRUCTOR_ERRORS as error:
            kind = node.tag.rpartition(":")[2]
            cause = f": {error}" if isinstance(error, ValueError) else ""  # other texts are about PyYAML's own code
            raise yaml.constructor.ConstructorError(
                problem=f"no valid {kind}, and text belongs in quotes{cause}", problem_mark=node.start_mark
            ) from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
