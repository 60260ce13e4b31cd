"""Keep one argument of many sources in an array: a number or a text that many of them share."""

from array import array
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.utterances.packed_text import PackedText, TextPacker

MOST_SHARED = 65_536  # texts that are looked up to be stored once; more of them are hardly shared


class Column(Protocol):
    """Values by their place."""

    def at(self, place: int, utterance_id: str) -> Any:
        """Return the value at a place, of the utterance with this id."""
        ...


class ColumnPacker(Protocol):
    """Values that are packed one by one."""

    def fits(self, value: object) -> bool:
        """Return whether the column can hold a value and return it unchanged."""
        ...

    def append(self, value: Any, utterance_id: str) -> None:
        """Add the value of the utterance with this id."""
        ...

    def packed(self) -> Column:
        """Return the values."""
        ...


class NumberPacker:
    """Pack whole numbers, or with ``is_real`` others and None."""

    def __init__(self, *, is_real: bool) -> None:
        self._is_real = is_real
        self._values: array[Any] = array("d" if is_real else "q")

    def fits(self, value: object) -> bool:
        """Return whether it is such a number; NaN stands for None and is none."""
        if self._is_real:
            return value is None or (type(value) in (int, float) and value == value)  # noqa: PLR0124
        return type(value) is int and -(2**63) <= value < 2**63

    def append(self, value: Any, utterance_id: str) -> None:  # noqa: ARG002 - as others are called
        """Add a number."""
        self._values.append(np.nan if value is None else value)

    def packed(self) -> Column:
        """Return the numbers."""
        return _Reals(np.array(self._values)) if self._is_real else _Integers(np.array(self._values))


class SharedTextPacker:
    """Pack texts; one that comes often is stored once."""

    def __init__(self) -> None:
        self._texts, self._numbers = TextPacker(), array("q")
        self._known: dict[str, int] = {}

    def fits(self, value: object) -> bool:
        """Return whether it is a text."""
        return type(value) is str

    def append(self, value: Any, utterance_id: str) -> None:  # noqa: ARG002 - as others are called
        """Add a text."""
        number = self._known.get(value, len(self._texts))
        if number == len(self._texts):
            self._texts.append(value)
            if number < MOST_SHARED:
                self._known[value] = number
        self._numbers.append(number)

    def packed(self) -> Column:
        """Return the texts."""
        return SharedTexts(self._texts.packed(), np.array(self._numbers))


class _Integers:
    def __init__(self, values: NDArray[np.int64]) -> None:
        self._values = values

    def at(self, place: int, utterance_id: str) -> int:  # noqa: ARG002
        return int(self._values[place])


class _Reals:
    def __init__(self, values: NDArray[np.float64]) -> None:
        self._values = values

    def at(self, place: int, utterance_id: str) -> float | None:  # noqa: ARG002
        value = float(self._values[place])
        return None if value != value else value  # noqa: PLR0124


class SharedTexts:
    """Texts, each stored once if it comes often.

    Args:
        texts: The texts.
        numbers: Of each value, into ``texts``.
    """

    def __init__(self, texts: PackedText, numbers: NDArray[np.int64]) -> None:
        self._texts, self._numbers = texts, numbers

    def at(self, place: int, utterance_id: str) -> str:  # noqa: ARG002
        """Return the text at a place."""
        return self._texts[int(self._numbers[place])]

    def values(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the texts at some places, (places,), in which those that are stored once are one object."""
        numbers, number_of = np.unique(self._numbers[places], return_inverse=True)
        return np.array([self._texts[number] for number in numbers.tolist()], object)[number_of]
