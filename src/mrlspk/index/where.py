"""Filter voices by name and metadata: parse ``site = "north" and age >= 30`` and compile it to SQL with bound values.

    filter      ::=  conjunction ("or" conjunction)*
    conjunction ::=  negation ("and" negation)*
    negation    ::=  "not" negation | "(" filter ")" | comparison
    comparison  ::=  key ("=" | "!=" | "<" | "<=" | ">" | ">=") value
                  |  key ["not"] "in" "(" value ("," value)* ")"
    key         ::=  word | text
    value       ::=  text | number | "true" | "false" | "null"

A voice whose value is absent or of another type fails every comparison but ``!=`` and ``not in``. ``= null`` holds
where the key is absent. Texts are compared by code points.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from mrlspk.errors import UsageError, shorten

type Value = str | int | float | bool | None

NAME = "name"  # the key of the voice's name
WORDS = "and", "or", "not", "in", "true", "false", "null"
SYMBOLS = {"==": "=", "<>": "!="}  # as other languages write them
DEEPEST = 100  # nested parentheses and negations
MOST_COMPARISONS = 500  # SQLite refuses an expression of more than 1,000 levels
LARGEST = 2**63 - 1
TEXTS, NUMBERS = "('text')", "('integer', 'real')"  # types of JSON
EXAMPLE = 'Write a filter such as: site = "north" and age >= 30'

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<word>[^\W\d][\w.-]*)
    | (?P<symbol><=|>=|!=|<>|==|[=<>(),])
    | (?P<end>\Z)
    | (?P<fault>.)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Condition:
    """A condition on rows of the table ``voices`` with the columns ``name`` and ``metadata``.

    Attributes:
        sql: With a ``?`` for each value.
        values: In the order of ``sql``.
        keys: Of metadata that a filter names.
    """

    sql: str
    values: tuple[str | int | float, ...] = ()
    keys: tuple[str, ...] = ()


def parse_filter(text: str) -> Condition:
    """Return the condition of a filter.

    Raises:
        UsageError: If it cannot be parsed; the message points at the place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("expected a text in UTF-8", fix=EXAMPLE, parameter="where") from error
    return _Parser(text).parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else shorten(self.text, 40)


class _Parser:
    """A recursive descent over the tokens of a filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._place = self._n_comparisons = self._depth = 0
        self._keys: dict[str, None] = {}

    def parse(self) -> Condition:
        for each in self._tokens:
            if each.kind == "fault":
                quote = each.text in "\"'"
                self._fail("expected a closing quote" if quote else f"got {each.text!r}", each)
        found = self._filter()
        if self._next.kind != "end":
            self._fail(f"expected and, or, or the end, got {self._next.shown}")
        return replace(found, keys=tuple(self._keys))

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _filter(self) -> Condition:
        return self._chain("or", self._conjunction)

    def _conjunction(self) -> Condition:
        return self._chain("and", self._negation)

    def _chain(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else _join(word, parts)

    def _negation(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"expected at most {DEEPEST} parentheses in each other")
        if self._take("not"):
            found = _negate(self._negation())
        elif self._take("("):
            found = self._filter()
            self._expect(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Condition:
        self._n_comparisons += 1
        if self._n_comparisons > MOST_COMPARISONS:
            self._fail(f"expected at most {MOST_COMPARISONS} comparisons")
        column = _Column.of(self._key())
        symbol = self._next
        if negated := self._take("not"):
            self._expect("in")
        if negated or self._take("in"):
            found = column.is_one_of(self._list())
            return _negate(found) if negated else found
        name = SYMBOLS.get(symbol.text, symbol.text)
        if symbol.kind != "symbol" or name not in {"=", "!=", "<", "<=", ">", ">="}:
            self._fail(f"expected =, !=, <, <=, >, >= or in, got {symbol.shown}")
        self._place += 1
        place = self._next
        value = self._value()
        if name == "=":
            return column.is_one_of([value])
        if name == "!=":
            return _negate(column.is_one_of([value]))
        if value is None or isinstance(value, bool):
            self._fail(f"expected a text or a number after {name}, got {place.shown}", place)
        return column.compares(name, value)

    def _key(self) -> str:
        token = self._next
        if token.kind == "text":
            key = _unquote(token.text)
        elif token.kind == "word" and token.text.lower() not in WORDS:
            key = token.text
        else:
            self._fail(f"expected a key such as name or site, got {token.shown}")
        if not is_key(key):
            self._fail("expected a key without quotes and backslashes", token)
        if key != NAME:
            self._keys[key] = None
        self._place += 1
        return key

    def _list(self) -> list[Value]:
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> Value:
        token = self._next
        if token.kind == "text":
            value: Value = _unquote(token.text)
        elif token.kind == "number":
            value = _number(token.text)
            if value in {math.inf, -math.inf}:
                self._fail(f"expected a finite number, got {token.shown}")
        elif token.kind == "word" and token.text.lower() in _CONSTANTS:
            value = _CONSTANTS[token.text.lower()]
        else:
            fix = f'Put texts in quotes: "{token.text}"' if token.kind == "word" else EXAMPLE
            self._fail(f"expected a text in quotes, a number, true, false or null, got {token.shown}", fix=fix)
        self._place += 1
        return value

    def _take(self, word: str) -> bool:
        """Take the next token if it is ``word``."""
        token = self._next
        found = token.kind in {"word", "symbol"} and token.text.lower() == word
        self._place += found
        return found

    def _expect(self, word: str) -> None:
        if not self._take(word):
            self._fail(f"expected {word}, got {self._next.shown}")

    def _fail(self, what: str, token: _Token | None = None, *, fix: str = EXAMPLE) -> NoReturn:
        start = (token or self._next).start
        line = f"{self._text[max(0, start - 60) : start + 40]}".replace("\n", " ").replace("\t", " ")
        raise UsageError(f"{what}\n  {line}\n  {' ' * min(start, 60)}^", fix=fix, parameter="where")


@dataclass(frozen=True)
class _Column:
    """What a comparison reads of a voice: SQL for the value and for its JSON type, and the value of their ``?``."""

    value: str
    type: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, key: str) -> "_Column":
        if key == NAME:
            return cls("voices.name", "'text'", ())
        return cls("json_extract(voices.metadata, ?)", "json_type(voices.metadata, ?)", (f'$."{key}"',))

    def compares(self, symbol: str, value: str | float) -> Condition:
        types = TEXTS if isinstance(value, str) else NUMBERS
        sql = f"ifnull({self.type} in {types} and {self.value} {symbol} ?, 0)"
        return Condition(sql, (*self.path, *self.path, value))

    def is_one_of(self, values: Sequence[Value]) -> Condition:
        """Return whether it is one of values, each of its own type."""
        parts = [self._constant(each) for each in _CONSTANTS.values() if any(each is value for value in values)]
        plain = [each for each in values if each is not None and not isinstance(each, bool)]
        texts = [each for each in plain if isinstance(each, str)]
        numbers = [each for each in plain if not isinstance(each, str)]
        parts += [self._is_one_of(types, some) for types, some in ((TEXTS, texts), (NUMBERS, numbers)) if some]
        return parts[0] if len(parts) == 1 else _join("or", parts)

    def _is_one_of(self, types: str, values: Sequence[str | int | float]) -> Condition:
        """Return whether it is one of values of one type, however many: a list is one bound value."""
        if len(values) == 1:
            return self.compares("=", values[0])
        sql = f"ifnull({self.type} in {types} and {self.value} in (select value from json_each(?)), 0)"
        return Condition(sql, (*self.path, *self.path, json.dumps(values)))

    def _constant(self, value: Value) -> Condition:
        return Condition(f"ifnull({self.type}, 'null') = '{json.dumps(value)}'", self.path)


_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def is_key(key: str) -> bool:
    """Return whether a filter can name a key of metadata: it is not empty, and has no quote and no backslash."""
    return bool(key) and not set(key) & set('"\\\0')


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while True:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise AssertionError("every text has a next token")
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        if match.lastgroup == "end":
            return
        place = match.end()


def _join(word: str, parts: Sequence[Condition]) -> Condition:
    sql = f" {word} ".join(each.sql for each in parts)
    return Condition(f"({sql})", tuple(value for each in parts for value in each.values))


def _negate(condition: Condition) -> Condition:
    return Condition(f"not ({condition.sql})", condition.values)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _number(text: str) -> int | float:
    if text.lstrip("+-").isdecimal() and abs(int(text)) <= LARGEST:
        return int(text)
    return float(text)
