"""Check an installation: packages, decoders, GPU, backends, caches, network."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from mrlspk import __version__
from mrlspk.config.sources import Environment, check_environment, read_environment
from mrlspk.errors import MrlspkError
from mrlspk.inference.default_model import PUBLISHED, RUNS, choose_default
from mrlspk.pretrained.cache_folder import cached_path
from mrlspk.pretrained.registry import find_model, is_published
from mrlspk.workflows.decoder_checks import try_decoders
from mrlspk.workflows.installed_packages import install_line, missing_packages, optional_packages

CONNECT_SECONDS = 3.0
AUDIO = "audio "  # begins the names of the checks of formats
LEAST_FREE_BYTES = 2 << 30  # a published model, its graph and some embeddings
BINARIES = {"torch": "PyTorch", "av": "FFmpeg", "soundfile": "libsndfile"}  # packages that may not load
RUNTIMES = "torch", "onnxruntime", "openvino"
GPU_FILES = Path("/dev/nvidia0"), Path("/dev/nvidiactl")
OTHER_FOLDER = "Set MRLSPK_CACHE_DIR to a folder on a disk with space that you can write to."


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: Of the thing.
        ok: Whether it is there and works.
        detail: What was found.
        fix: The line to type, or what to do, if it is not ok.
        needed: Whether everybody needs it.
    """

    name: str
    ok: bool
    detail: str
    fix: str | None = None
    needed: bool = True


@dataclass(frozen=True)
class DoctorReport:
    """Everything that was checked; ``ok`` if what everybody needs is there."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Return whether what everybody needs is there."""
        return all(check.ok for check in self.checks if check.needed)


def examine(variables: Mapping[str, str], *, offline: bool = False) -> DoctorReport:
    """Check the installation.

    Args:
        variables: Names and values, such as ``os.environ``.
        offline: Make no connection.
    """
    return DoctorReport(tuple(_checks(variables, offline=offline)))


def _checks(variables: Mapping[str, str], *, offline: bool) -> Iterator[Check]:
    yield Check("mrlspk", ok=True, detail=f"{__version__}, Python {platform.python_version()} at {sys.executable}")
    yield _check_packages()
    yield from map(_check_binary, BINARIES)
    yield from _check_decoders()
    yield _check_gpu()
    yield _check_runtimes()
    yield from _check_extras()
    try:
        check_environment(variables)
        environment = read_environment(variables)
    except MrlspkError as error:
        fix = error.fix or "Correct the variable in .env or the environment, or unset it."
        yield Check("settings", ok=False, detail=str(error).partition("\n")[0], fix=fix)
        return
    yield _check_cache(environment.cache_dir)
    yield _check_model(environment)
    if not offline:
        yield _check_source(environment)


def _check_packages() -> Check:
    missing = missing_packages()
    if missing:
        return Check("packages", ok=False, detail=f"not installed: {', '.join(missing)}", fix=install_line(*missing))
    return Check("packages", ok=True, detail="all that every command needs")


def _check_binary(package: str) -> Check:
    """Import a package with native code, which may be damaged or not fit the machine."""
    try:
        module = importlib.import_module(package)
    except (ImportError, OSError) as error:
        return Check(BINARIES[package], ok=False, detail=f"{package} does not load: {error}", fix=install_line(package))
    inside = {"av": "ffmpeg_version_info", "soundfile": "__libsndfile_version__"}.get(package)
    version = getattr(module, inside, "of unknown version") if inside else metadata.version(package)
    where = f"through {package} {metadata.version(package)}" if inside else f"{os.cpu_count()} processors"
    return Check(BINARIES[package], ok=True, detail=f"{version}, {where}")


def _check_decoders() -> Iterator[Check]:
    for found in try_decoders():
        fix = None if found.ok else install_line("av", "soundfile")
        yield Check(f"{AUDIO}{found.format.name}", found.ok, found.detail, fix, needed=found.format.needed)


def _check_gpu() -> Check:
    """Report the GPU; without one there is nothing to fix, unless the machine has one that PyTorch cannot use."""
    try:
        import torch
    except (ImportError, OSError):
        return Check(
            "GPU", ok=False, detail="not known: PyTorch does not load", fix=install_line("torch"), needed=False
        )
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return Check("GPU", ok=True, detail=", ".join(names), needed=False)
    if torch.backends.mps.is_available():
        return Check("GPU", ok=True, detail="Apple GPU, called mps", needed=False)
    if any(path.exists() for path in GPU_FILES):
        built = torch.version.cuda
        why = f"is built for CUDA {built}" if built else "is built for the CPU"
        fix = "Install an NVIDIA driver for this CUDA version, or a build of PyTorch for the driver."
        what = f"there is one, but PyTorch, which {why}, cannot use it"
        return Check("GPU", ok=False, detail=what, fix=fix, needed=False)
    return Check("GPU", ok=True, detail="none: commands run on the CPU", needed=False)


def _check_runtimes() -> Check:
    found = [name for name in RUNTIMES if find_spec(name)]
    return Check("backends", ok=bool(found), detail=", ".join(found), fix=None if found else install_line("torch"))


def _check_extras() -> Iterator[Check]:
    for extra in optional_packages():
        fix = None if not extra.missing else f"pip install 'mrlspk[{extra.name}]'"
        detail = ", ".join(extra.installed) if not extra.missing else f"not installed: {', '.join(extra.missing)}"
        yield Check(extra.purpose, not extra.missing, detail, fix, needed=False)


def _check_cache(folder: Path | None) -> Check:
    if folder is None:
        return Check("cache", ok=False, detail="there is no home folder", fix=OTHER_FOLDER)
    present = next(path for path in (folder, *folder.parents) if path.exists())
    if not present.is_dir() or not os.access(present, os.W_OK):
        return Check("cache", ok=False, detail=f"{folder}: cannot be written", fix=OTHER_FOLDER)
    free = shutil.disk_usage(present).free
    held = ", ".join(f"{name} {shown_size(size)}" for name, size in _sizes(folder)) or "empty"
    detail = f"{folder}: {held}; {shown_size(free)} free"
    return Check("cache", free >= LEAST_FREE_BYTES, detail, OTHER_FOLDER if free < LEAST_FREE_BYTES else None)


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the bytes of models, which lie in the folder itself, and of each folder in it."""
    if not folder.is_dir():
        return
    own = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if own:
        yield "files", own
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path.name, sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _check_model(environment: Environment) -> Check:
    """Report the model that commands use if none is named."""
    default = choose_default(RUNS)
    name = environment.model or default.model
    detail = f"{name}, {'from MRLSPK_MODEL' if environment.model else f'the {default.source}'}"
    if environment.cache_dir is None or not is_published(name):
        return Check("default model", ok=True, detail=detail, needed=False)
    if cached_path(find_model(name), environment.cache_dir).is_file():
        return Check("default model", ok=True, detail=f"{detail}, in the cache", needed=False)
    fix = f"mrlspk pretrained fetch {name}"
    return Check("default model", ok=False, detail=f"{detail}, not fetched yet", fix=fix, needed=False)


def _check_source(environment: Environment) -> Check:
    """Check that published models can be fetched, from the mirror if there is one."""
    mirror, name = environment.mirror, "network" if environment.mirror is None else "mirror"
    if mirror is not None and "://" not in mirror:
        fix = None if Path(mirror).is_dir() else "Set MRLSPK_MIRROR to a folder with the published files, or unset it."
        return Check(name, fix is None, mirror if fix is None else f"{mirror}: no such folder", fix, needed=False)
    address = mirror or find_model(PUBLISHED).url
    host = urlsplit(address).hostname
    if reason := _unreachable(address):
        fix = "Give models as files. With `offline` this check is left out."
        return Check(name, ok=False, detail=f"{host}: {reason}", fix=fix, needed=False)
    return Check(name, ok=True, detail=f"{host} answers", needed=False)


def _unreachable(address: str) -> str | None:
    """Return why a server does not answer, or None."""
    import requests

    try:
        requests.head(address, timeout=CONNECT_SECONDS, allow_redirects=False)
    except requests.exceptions.Timeout:
        return f"no answer within {CONNECT_SECONDS:g} s"
    except requests.exceptions.RequestException:
        return "no connection"
    return None


def shown_size(n_bytes: float) -> str:
    """Return a number of bytes with a unit, such as ``1.2 GB``."""
    for unit in ("kB", "MB"):
        n_bytes /= 1000
        if n_bytes < 999.5:
            return f"{n_bytes:.0f} {unit}"
    return f"{n_bytes / 1000:.1f} GB"
