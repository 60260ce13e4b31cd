"""Find which packages that mrlspk declares are installed."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import NamedTuple

REQUIREMENT = re.compile(r"([\w.-]+)([^;]*)(?:;.*extra == ['\"](\w+)['\"])?")
PURPOSES = {
    "demo": "demo voices",
    "faiss": "faster index search",
    "lora": "LoRA adapters",
    "onnx": "ONNX models",
    "openvino": "OpenVINO",
    "parquet": "Parquet files",
    "remote": "corpora at URLs",
    "report": "report pages",
    "safetensors": "safetensors files",
    "silero": "Silero VAD",
}  # of the extras that users install


class Requirement(NamedTuple):
    """A declared package, the versions that fit, such as ``<20,>=19``, and the extra that it belongs to."""

    name: str
    versions: str
    extra: str | None


@dataclass(frozen=True)
class Extra:
    """An optional set of packages.

    Attributes:
        name: Such as ``onnx`` in ``mrlspk[onnx]``.
        purpose: What it is for.
        installed: Packages that are installed, with versions.
        missing: The others.
    """

    name: str
    purpose: str
    installed: tuple[str, ...]
    missing: tuple[str, ...]


def missing_packages() -> list[str]:
    """Return the packages that every command may need and that are not installed."""
    return [each.name for each in _requirements() if each.extra is None and _version(each.name) is None]


def install_line(*packages: str) -> str:
    """Return the line that installs packages, or installs them again, at versions that mrlspk works with."""
    versions = {each.name: each.versions for each in _requirements() if each.extra is None}
    return " ".join(["pip install -I", *(shlex.quote(f"{name}{versions.get(name, '')}") for name in packages)])


def optional_packages() -> Iterator[Extra]:
    """Yield every optional set of packages that users install."""
    for extra, purpose in PURPOSES.items():
        versions = {each.name: _version(each.name) for each in _requirements() if each.extra == extra}
        installed = tuple(f"{name} {version}" for name, version in versions.items() if version is not None)
        missing = tuple(name for name, version in versions.items() if version is None)
        yield Extra(extra, purpose, installed, missing)


def _requirements() -> Iterator[Requirement]:
    """Yield each declared package."""
    for text in metadata.requires("mrlspk") or ():
        if found := REQUIREMENT.fullmatch(text):
            yield Requirement(*found.groups())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
