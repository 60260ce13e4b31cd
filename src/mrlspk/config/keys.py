"""Find the keys and sections of the configuration by their dotted names."""

import typing
from collections.abc import Iterator
from types import UnionType

from pydantic import AliasChoices, BaseModel

from mrlspk.config.root import Config


def section_at(keys: tuple[str, ...]) -> type[BaseModel] | None:
    """Return the section at ``keys``, or None if there is a value or nothing."""
    section: type[BaseModel] | None = Config
    for key in keys:
        field = section.model_fields.get(key) if section else None
        section = section_of(field.annotation) if field else None
    return section


def section_of(annotation: object) -> type[BaseModel] | None:
    """Return the section class in an annotation, optional or not; None for a plain value."""
    if isinstance(annotation, UnionType) or typing.get_origin(annotation) is typing.Union:
        return next((model for part in typing.get_args(annotation) if (model := section_of(part))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def canonical(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``keys`` with the last one as the name of its field, whatever its alias or case."""
    section = section_at(keys[:-1])
    if section is None:
        return keys
    for name, field in section.model_fields.items():
        alias = field.validation_alias
        spellings = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
        if keys[-1] in spellings or keys[-1] == name.lower():
            return (*keys[:-1], name)
    return keys


def known_keys(section: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key, sections before their keys."""
    for name, field in section.model_fields.items():
        yield prefix + name
        if child := section_of(field.annotation):
            yield from known_keys(child, f"{prefix}{name}.")
