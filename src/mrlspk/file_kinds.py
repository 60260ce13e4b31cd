"""Recognise what a file is by its content, to say so where another kind of file is expected."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

BEGIN = 512  # bytes that are read
CHECKPOINT, GRAPH, TRANSFORM = "a PyTorch checkpoint", "an ONNX model", "a transform"
SAFETENSORS, TRIALS = "a safetensors file", "a trial list"
EMBEDDINGS, ARRAYS, ARRAY = "a file of embeddings", "a file of NumPy arrays", "a NumPy array"
_ZIP = b"PK\x03\x04"
_INSPECT = "To see what it holds, type: mrlspk vectors inspect {path}"
# The first fields of an ONNX file: its version, then producer, its version, the graph or the operator sets.
_ONNX = rb"\x08[\x01-\x1f][\x12\x1a\x3a\x42]"
_MARKS = {
    rb"\Z": ("an empty file", None),
    rb"version https://git-lfs\.": ("a pointer of Git LFS to a file", "To get the file, type: git lfs pull"),
    rb"(?i)\s*<(!doctype|html|head|\?xml)": ("a web page", "Download the file itself."),
    rb"(?s)RIFF....WAVE|fLaC|OggS|ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]|....ftyp": (
        "a recording",
        "Give a model in its place.",
    ),
    rb"\x80[\x02-\x05]": ("a pickle (plain pickles are never opened)", None),
    rb"\x93NUMPY": (ARRAY, _INSPECT),
    rb'(?s).{8}\{"': (SAFETENSORS, "Rename it to {stem}.safetensors."),
    _ONNX: (GRAPH, "Rename it to {stem}.onnx."),
    rb"\x1f\x8b|(?s:.{257}ustar)": ("an archive", "Unpack it first."),
    rb"(?i)([01][ \t]+\S+[ \t]+\S+|\S+[ \t]+\S+[ \t]+(target|nontarget|imposter|[01]))[ \t\r]*\n": (
        TRIALS,
        "Give it as `trials={path}`.",
    ),
    rb"[\t\r\n -~]+\Z": ("a text file", None),
}
_ELSEWHERE = {
    **dict.fromkeys((CHECKPOINT, GRAPH, TRANSFORM, SAFETENSORS), "If it is a model, give it as `model={path}`."),
    **dict.fromkeys((EMBEDDINGS, ARRAYS, ARRAY), _INSPECT),
    TRIALS: "Give it as `trials={path}`.",
}  # what to do with a file that was given as a recording


@dataclass(frozen=True)
class FileKind:
    """What a file is, in words, and what to do about it where another kind is expected; None if that depends."""

    name: str
    fix: str | None


def recognise(path: Path) -> FileKind | None:
    """Return what a readable file is; None if that is not known."""
    with path.open("rb") as file:
        begin = file.read(BEGIN)
    if begin.startswith(_ZIP):
        return _recognise_zip(path)
    for mark, (name, fix) in _MARKS.items():
        if re.match(mark, begin):
            return FileKind(name, fix and fix.format(path=path, stem=path.stem))
    return None


def why_not_audio(path: Path) -> tuple[str, str] | None:
    """Return what a file is that is no recording, and what to do with it; None if it may be a damaged recording."""
    kind = recognise(path)
    if kind is None or kind.name not in _ELSEWHERE:
        return None
    return f"is {kind.name}, not a recording", _ELSEWHERE[kind.name].format(path=path)


def _recognise_zip(path: Path) -> FileKind | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return FileKind("a truncated file", None)
    if {"mean.npy", "matrix.npy"} <= names:
        return FileKind(TRANSFORM, f"Rename it to {path.stem}.npz.")
    if {"ids.npy", "embeddings.npy"} <= names:
        return FileKind(EMBEDDINGS, "`mrlspk eval|compare|calibrate` take it as `vectors=FILE`.")
    if "lists.npy" in names:
        return FileKind("a file of scores", "`mrlspk compare` takes it.")
    if any(name.endswith(".npy") for name in names):
        return FileKind(ARRAYS, _INSPECT.format(path=path))
    if any(name.endswith("/data.pkl") for name in names):
        return FileKind(CHECKPOINT, f"Rename it to {path.stem}.pt.")
    return FileKind("an archive", "Unpack it first.")
