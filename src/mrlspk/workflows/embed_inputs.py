"""Find the files that ``embed`` is to embed: files, folders at any depth, and lists of paths."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrlspk.data.audio import open_audio
from mrlspk.data.audio.source import AudioSource, Channel, ChannelSource, as_source, take_channel
from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.left_out import LeftOut
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.kaldi import RECORDINGS
from mrlspk.data.manifest_files.recipes import kind_of, read_utterances
from mrlspk.data.manifest_files.wav_scp import read_wav_scp
from mrlspk.data.missing_files import missing_cause
from mrlspk.data.remote import is_url
from mrlspk.data.shards.reading import is_shards, read_shards
from mrlspk.errors import DataError, UsageError
from mrlspk.reading import LARGEST_LIST, is_file, read_text, reading

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True)
class Inputs:
    """What is to be embedded.

    Attributes:
        files: By id.
        errors: Why a folder or an input cannot be read, by its path or as it was typed.
        left_out: Audio in folders that is not embedded, with the path of the folder.
        lines: List and number of the line that names a file, by id.
    """

    files: dict[str, AudioSource] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    lines: Mapping[str, tuple[Path, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """The audio to embed.

    Attributes:
        by_id: In input order.
        errors: Why a folder or an input cannot be read, by its path or as it was typed.
        left_out: Audio in folders that is not embedded.
        lines: List and number of the line that names a file, by id.
    """

    by_id: dict[str, AudioSource]
    errors: dict[str, str]
    left_out: tuple[LeftOut, ...]
    lines: Mapping[str, tuple[Path, int]] = field(default_factory=dict)

    def explained(self, errors: Mapping[str, str]) -> dict[str, str]:
        """Return errors by id; those of a list name it and the line, and why a file is not there if that shows."""
        return {file_id: self._explained(file_id, message) for file_id, message in errors.items()}

    def _explained(self, file_id: str, message: str) -> str:
        name = file_id if file_id in self.lines else file_id.rpartition("#")[0]  # of a channel
        if name not in self.lines:
            return message
        source, (listed_in, number) = self.by_id.get(file_id), self.lines[name]
        path = source.path if source else None
        is_gone = path is not None and not is_file(path, DataError)
        cause = missing_cause(path, listed_in=listed_in) if path and is_gone else None
        first, _, rest = message.partition("\n")
        return f"{listed_in}:{number}: {first}" + (f": {cause}" if cause else f"\n{rest}" if rest else "")


def find_sources(inputs: Sequence[str], *, channel: Channel, each_channel: bool) -> Sources:
    """Return the channel of each file of `find_inputs`, or with ``each_channel`` every channel, as ``FILE#N``.

    Raises:
        DataError: As of `find_inputs`.
        UsageError: As of `find_inputs`, or if a channel and a file without channels have the same id.
    """
    found = find_inputs(inputs)
    if each_channel:
        channels, uncounted = _split_channels(found.files)
        return Sources(channels, found.errors | uncounted, found.left_out, found.lines)
    sources = {file_id: _with_channel(source, channel) for file_id, source in found.files.items()}
    return Sources(sources, found.errors, found.left_out, found.lines)


def refuse_missing(inputs: Sequence[str]) -> None:
    """Refuse inputs of which none exists, before a model is fetched for them.

    Raises:
        DataError: If none of them is a path that exists, or ``-``.
    """
    if not any(typed == "-" or _exists(typed) for typed in inputs):
        raise DataError("no such file or folder", ", ".join(inputs), "Check the path.")


def _exists(typed: str) -> bool:
    try:
        return is_url(typed) or Path(typed).exists()
    except OSError:  # such as a name too long for the file system, which is told as an error of its own
        return True


def find_inputs(inputs: Sequence[str]) -> Inputs:
    """Return audio files, and the errors of unusable inputs among several; warnings tell what is left out.

    The id of a file is its path as typed; the id of a file in a folder is its path relative to the folder; the id of a
    file in a ``wav.scp`` is what stands before its path; a manifest file has ids of its own.

    Raises:
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If two files have the same id.
    """
    files: dict[str, AudioSource] = {}
    errors: dict[str, str] = {}
    left_out: list[LeftOut] = []
    lines: dict[str, tuple[Path, int]] = {}
    for typed in inputs:
        try:
            found = _expand(typed)
        except DataError as error:
            if len(inputs) == 1:
                raise
            errors[typed] = str(error)
            continue
        _add(files, found.files.items())
        errors |= found.errors
        left_out += found.left_out
        lines |= found.lines
    if not (files or errors):
        raise DataError("no audio is named", fix="Give files or folders, or a list or stdin with one path per line.")
    _refuse_other_spellings(files)
    return Inputs(files, errors, tuple(left_out), lines)


def _refuse_other_spellings(files: Mapping[str, AudioSource]) -> None:
    """Refuse a file that is given as ``a.wav`` and as ``./a.wav``.

    Raises:
        UsageError: If there is one.
    """
    for typed, source in files.items():
        plain = str(source)
        if plain != typed and files.get(plain) == source:
            raise UsageError(f"is given as {typed} too", plain, "Give each file once.")


def _add(files: dict[str, AudioSource], found: Iterable[tuple[str, AudioSource]]) -> None:
    for file_id, source in found:
        if file_id in files:
            raise UsageError(
                f"{files[file_id]} and {source} would have the same id",
                file_id,
                "Give each file once; embed folders with equal contents one at a time.",
            )
        files[file_id] = source


def split_lines(text: str) -> list[str]:
    """Return the paths in a list; only a line feed ends a line, since file names hold other separators."""
    return [line for line in _lines(text) if line]


def _lines(text: str) -> Iterator[str]:
    return (line.strip(" \t\r") for line in text.split("\n"))


def _expand(typed: str) -> Inputs:
    path = Path(typed)
    if is_shards(path):
        return _from_utterances(read_shards(path), path)
    if kind_of(path) is not None and path.name != RECORDINGS:
        return _from_utterances(read_utterances(path), path)
    with reading(path, DataError, "Check the path."):
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            what = "expected a file or folder, got a pipe or device" if path.exists() else "no such file or folder"
            raise DataError(what, typed, "Check the path.")
    if path.suffix.lower() == ".scp":
        return _from_scp(path)
    return _listed(path) if path.suffix.lower() == ".txt" else Inputs({typed: as_source(path)})


def _listed(path: Path) -> Inputs:
    text = read_text(path, DataError, "Save the list as UTF-8, one path per line.", most_bytes=LARGEST_LIST)
    files: dict[str, AudioSource] = {}
    numbered = [(number, line) for number, line in enumerate(_lines(text), start=1) if line]
    _add(files, ((line, as_source(line)) for _, line in numbered))
    if not files:
        raise DataError("names no audio", path, "Write one path per line.")
    return Inputs(files, lines={line: (path, number) for number, line in numbered})


def _from_scp(path: Path) -> Inputs:
    entries = read_wav_scp(path)
    if not entries:
        raise DataError("names no audio", path, "Write an utterance and the path of its audio file on each line.")
    files: dict[str, AudioSource] = {utterance_id: as_source(file) for utterance_id, (file, _) in entries.items()}
    return Inputs(files, lines={utterance_id: (path, number) for utterance_id, (_, number) in entries.items()})


def _from_utterances(utterances: Iterable[Utterance], path: Path) -> Inputs:
    """Return the audio of a manifest file, ours or that of another toolkit, or of shards; it need not name speakers."""
    files: dict[str, AudioSource] = {}
    _add(files, ((each.utterance_id, each.source) for each in utterances))
    if not files:
        raise DataError("names no audio", path, "Scan a corpus with audio in it.")
    return Inputs(files)


def _with_channel(source: AudioSource, channel: Channel) -> AudioSource:
    """Return a channel of a recording; a source that is one channel stays it."""
    return source if isinstance(source, ChannelSource) else take_channel(source, channel)


def _folder(folder: Path) -> Inputs:
    """Return the audio in a folder; a folder in it that cannot be read is an error, and the rest is embedded."""
    tree = walk_audio(folder)
    problems = tuple(tree.problems())
    errors = {str(folder / each.where): each.message for each in problems if each.severity == "error"}
    warnings = [each.message for each in problems if each.severity == "warning"]
    if not tree.files and not errors:
        others = "".join(f"; {message}" for message in warnings)
        fix = "Give a folder with audio files, such as .wav, .flac, .mp3 or .m4a, at any depth."
        raise DataError(f"no audio in this folder{others}", folder, fix)
    for message in warnings:
        log.warning("%s: %s", folder, message)
    files = {
        file_id: as_source(folder / file_id) for file_id in sorted(tree.files, key=lambda file_id: file_id.split("/"))
    }
    return Inputs(files, errors, tuple(each.within(folder) for each in tree.left_out))


def _split_channels(files: Mapping[str, AudioSource]) -> tuple[dict[str, AudioSource], dict[str, str]]:
    """Return every channel of every file as ``FILE#N``, and why the channels of a file cannot be counted, by id.

    Raises:
        UsageError: If the id of a channel is also that of a file without channels.
    """
    channels: dict[str, AudioSource] = {}
    errors: dict[str, str] = {}
    for file_id, source in files.items():
        try:
            with open_audio(source) as audio:
                count = audio.channels
        except DataError as error:
            errors[file_id] = str(error)
            continue
        channels |= {f"{file_id}#{number}": take_channel(source, number) for number in range(count)}
    for repeated in channels.keys() & errors.keys():
        fix = "Embed that file by itself."
        raise UsageError("is the id of a channel and the name of a file that cannot be read", repeated, fix)
    return channels, errors
