"""Load the configuration from defaults, environment variables, YAML and overrides."""

import difflib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mrlspk.config.key_hints import (
    SECTION_OF_PREDECESSOR,
    did_you_mean,
    is_of_predecessor,
    key_hint,
    may_be_of_predecessor,
)
from mrlspk.config.keys import canonical, known_keys, section_at
from mrlspk.config.root import Config
from mrlspk.config.value_problems import key_path, problem_lines, problem_text
from mrlspk.errors import ConfigError
from mrlspk.reading import parse_yaml, read_yaml

PREFIX = "MRLSPK_"
UNKNOWN = "unknown key"
OVERRIDE = "`set`"  # the origin of an override
SEE_REFERENCE = "See docs/configuration.md for every key."
# Variables of the program rather than of a run; `Environment` has the first three.
PROGRAM_VARIABLES = {"MODEL", "CACHE_DIR", "MIRROR", "SHARED", "REQUIRE_SHARED"}


def load_config(
    path: Path | Sequence[Path] | None = None,
    overrides: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration from, in rising order, defaults, environment variables, YAML and overrides.

    Args:
        path: YAML file, or several: later ones override. Each needs only the keys that differ.
        overrides: ``section.key=value``, the value in YAML.
        environment: Variables; those named ``MRLSPK_SECTION__KEY`` are read.

    Raises:
        ConfigError: If a key is unknown (the nearest known one is named) or a value is not allowed.
    """
    check_environment(environment or {})
    return build_config([*_from_environment(environment or {}), *_from_yaml(path), *_from_overrides(overrides)])


type Setting = tuple[tuple[str, ...], Any, str]


def build_config(settings: Iterable[Setting]) -> Config:
    """Return the configuration from settings; a later one overrides an earlier one.

    Raises:
        ConfigError: If a key is unknown or a value is not allowed; origins are named.
    """
    values: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for keys, value, origin in settings:
        path = canonical(keys)
        _insert(values, path, value, origin)
        origins[path] = origin
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise as_config_error(error, origins) from error


def _default_cache_dir() -> Path | None:
    try:
        return Path.home() / ".cache" / "mrlspk"
    except RuntimeError:  # HOME is not set, and the user has no entry in the password database
        return None


def no_cache_folder() -> ConfigError:
    """Return the error of a command that needs the folder of fetched models where there is none."""
    return ConfigError("is needed, since there is no home folder", "MRLSPK_CACHE_DIR", "Set it to a folder.")


class Environment(BaseModel):
    """Settings that belong to no single run: the default model, the cache and the mirror.

    ``cache_dir`` is None if it is not given and there is no home folder.
    """

    model_config = ConfigDict(frozen=True)

    model: str | None = Field(None, description="Default MODEL of every command: a path or a published name.")
    cache_dir: Path | None = Field(default_factory=_default_cache_dir, description="Folder of fetched models.")
    mirror: str | None = Field(None, description="URL or folder that holds copies of the published files.")

    @field_validator("cache_dir")
    @classmethod
    def _expand(cls, folder: Path) -> Path:
        try:
            return folder.expanduser()
        except RuntimeError as error:
            raise ValueError(f"there is no such user: {folder}") from error

    def cache_folder(self) -> Path:
        """Return the folder of fetched models.

        Raises:
            ConfigError: If there is none.
        """
        if self.cache_dir is None:
            raise no_cache_folder()
        return self.cache_dir

    @field_validator("mirror")
    @classmethod
    def _check_mirror(cls, mirror: str | None) -> str | None:
        """Accept a folder, and an http or https address that a file name can be appended to."""
        if mirror is None:
            return None
        if "://" not in mirror:
            return str(cls._expand(Path(mirror)))
        address = urlsplit(mirror)
        if address.scheme not in {"http", "https"} or not address.hostname or "?" in mirror or "#" in mirror:
            raise ValueError("expected a folder, or an http or https address without query and fragment")
        return mirror


def read_environment(variables: Mapping[str, str], *, strict: bool = True) -> Environment:
    """Return the settings of the program; an empty variable counts as not set.

    Args:
        variables: Names and values, such as ``os.environ``.
        strict: Refuse unknown variables whose names begin with ``MRLSPK_``.

    Raises:
        ConfigError: If a variable is unknown (the nearest known one is named) or a value is not allowed.
    """
    if strict:
        check_environment(variables)
    given = {name.upper(): value for name, value in variables.items() if value}
    values = {field: given.get(f"{PREFIX}{field.upper()}") for field in Environment.model_fields}
    try:
        return Environment.model_validate({field: value for field, value in values.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{problem['loc'][0]}".upper()
        raise ConfigError(problem_text(problem), name, f"Fix {name}, or unset it.") from error


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse unknown ``MRLSPK_`` variables.

    Raises:
        ConfigError: If there are any; the nearest known variable is named.
    """
    unknown = [name for name in environment if name.startswith(PREFIX) and not _is_variable(name.removeprefix(PREFIX))]
    if not unknown:
        return
    known = [
        f"{PREFIX}{name}" for name in (*PROGRAM_VARIABLES, *(key.upper().replace(".", "__") for key in known_keys()))
    ]
    nearest = {name: next(iter(difflib.get_close_matches(name, known, 1, 0.7)), None) for name in unknown}
    lines = (f"{name}: unknown variable{did_you_mean(guess)}" for name, guess in nearest.items())
    raise ConfigError("\n".join(lines), fix=None if all(nearest.values()) else SEE_REFERENCE)


def _is_variable(name: str) -> bool:
    """Whether ``name``, without its prefix, is a variable of the program, a key, or inside a key's value."""
    keys = tuple(name.lower().split("__"))
    if name in PROGRAM_VARIABLES or keys[0] not in Config.model_fields:
        return name in PROGRAM_VARIABLES
    depth = next((end for end in range(1, len(keys) + 1) if section_at(keys[:end]) is None), len(keys))
    parent = section_at(keys[: depth - 1])
    return parent is None or canonical(keys[:depth])[-1] in parent.model_fields


def named_keys(
    path: Path | Sequence[Path] | None = None,
    overrides: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """Return the dotted keys that a file, overrides or variables set; the arguments are those of `load_config`."""
    settings = [*_from_environment(environment or {}), *_from_yaml(path), *_from_overrides(overrides)]
    return frozenset(".".join(canonical(keys)) for keys, _, _ in settings)


def dump_config(config: Config) -> str:
    """Return the configuration as YAML that `load_config` reads."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _from_environment(environment: Mapping[str, str]) -> Iterator[Setting]:
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in PROGRAM_VARIABLES:
            continue
        yield tuple(name.removeprefix(PREFIX).lower().split("__")), parse_yaml(text, name, ConfigError), name


def _from_yaml(paths: Path | Sequence[Path] | None) -> Iterator[Setting]:
    for path in [paths] if isinstance(paths, Path) else paths or ():
        content = read_yaml(path, ConfigError, "Give the path of a YAML file.")
        if content is not None and not isinstance(content, dict):
            raise ConfigError(f"expected sections such as 'training:', got a {type(content).__name__}", path)
        yield from _leaves((), content or {}, str(path))


def _from_overrides(overrides: Sequence[str]) -> Iterator[Setting]:
    for override in overrides:
        key, equals, text = override.partition("=")
        if not (equals and key):
            raise ConfigError(f"expected 'section.key=value', got {override!r}", parameter="set")
        yield tuple(key.strip().split(".")), parse_yaml(text, f"`set={key}`", ConfigError), OVERRIDE


def _leaves(prefix: tuple[str, ...], content: Mapping[Any, Any], origin: str) -> Iterator[Setting]:
    """Yield the keys inside sections; a dict or list that is itself a value stays whole."""
    for key, value in content.items():
        keys = (*prefix, str(key))
        if isinstance(value, Mapping) and value and section_at(keys) is not None:
            yield from _leaves(keys, value, origin)
        else:
            yield keys, value, origin


def _insert(values: dict[str, Any], keys: tuple[str, ...], value: Any, origin: str) -> None:
    node = values
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if child is None:  # a section that an earlier source set to null
            child = node[key] = {}
        if not isinstance(child, dict):
            raise ConfigError(f"{origin}: {'.'.join(keys)}: {key} holds a value, not keys")
        node = child
    node[keys[-1]] = value


def as_config_error(error: ValidationError, origins: Mapping[tuple[str, ...], str]) -> ConfigError:
    """Turn all problems that pydantic found into one error, with sources and fixes."""
    problems = error.errors()
    unknown = {key_path(problem) for problem in problems if problem["type"] == "extra_forbidden"}
    lines, fix, old = [], None, list[str]()
    for file in dict.fromkeys(filter(_is_file, origins.values())):
        own = [keys for keys in unknown if _origin(keys, origins) == file]
        if is_of_predecessor(own):
            return _not_migrated(file, sorted(map(".".join, own)))
        if may_be_of_predecessor(own):
            old.append(f"If {file} is a configuration of redimnet-mrl, migrate it:\n{_migration(file)}")
    for keys, text in _with_old_keys(problem_lines(problems), origins):
        origin = _origin(keys, origins)
        place = ".".join(keys) + (f" ({origin})" if origin else "")
        if text == UNKNOWN or keys in unknown:
            hint = key_hint(keys)
            text = f"{UNKNOWN}{hint}"
            fix = fix if hint else SEE_REFERENCE
        lines.append(f"{place}: {text}" if place else text)
    return ConfigError("\n".join(lines), fix="\n".join(old) or fix)


def _with_old_keys(
    lines: Mapping[tuple[str, ...], str], origins: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield problems by key; in place of the section of redimnet-mrl that is unknown here, the keys given of it."""
    for keys, text in lines.items():
        below = [known for known in origins if keys == (SECTION_OF_PREDECESSOR,) and known[1:] and known[:1] == keys]
        yield from ((known, UNKNOWN) for known in below) if below else [(keys, text)]


def _is_file(origin: str) -> bool:
    return origin != OVERRIDE and not origin.startswith(PREFIX)


def _not_migrated(file: str, keys: Sequence[str]) -> ConfigError:
    count = f"{len(keys)} of its keys, such as {' and '.join(keys[:2])}, are"
    what = f"is a configuration of redimnet-mrl: {count} not known here"
    return ConfigError(what, file, f"Migrate it, then give the new file:\n{_migration(file)}")


def _migration(file: str) -> str:
    new = str(Path(file).with_suffix(".mrlspk.yaml"))
    return f"mrlspk config migrate {shlex.quote(file)} `output={shlex.quote(new)}`"


def _origin(keys: tuple[str, ...], origins: Mapping[tuple[str, ...], str]) -> str | None:
    """Return the source of ``keys``, else of a key below or above them; None for no keys."""
    if not keys:
        return None
    below = (source for known, source in origins.items() if known[: len(keys)] == keys)
    above = (source for known, source in origins.items() if keys[: len(known)] == known)
    return next(below, None) or next(above, None)
