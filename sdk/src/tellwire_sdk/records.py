"""How JSON objects become frozen records and JSON again, nothing lost and nothing reordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, NoReturn, Self

from tellwire_sdk.json_text import write_json

Reader = Callable[[object], Any]
"""From a JSON value to a field's value; raises `Unfit` for a value of another kind."""


class Unfit(Exception):  # noqa: N818  (never leaves this package)
    """A value is not of the expected kind; `path` is where it is, from the outside in."""

    def __init__(self, expected: str, *path: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.path = path


@dataclass(frozen=True, kw_only=True)
class Record:
    """A JSON object with the keys in `READERS` as typed fields; a key that is a Python keyword gets a `_` behind it.

    Every other key is in `extra`, and so is a known one whose value is null or of a kind that was not expected: its
    field is then None. `key_order` is the order in which the keys came. Mappings are to be read only.
    """

    READERS: ClassVar[Mapping[str, Reader]] = {}

    extra: Mapping[str, Any] = field(default_factory=dict)
    key_order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> Self:
        """Make the record of a JSON object; raises `Unfit` when it is none or lacks what every such record has."""
        return cls._read(an_object(value), cls.READERS)

    @classmethod
    def _read(cls, given: Mapping[str, Any], readers: Mapping[str, Reader]) -> Self:
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        required = {each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING}
        for key, item in given.items():
            try:
                known[attribute(key)] = readers.get(key, unknown)(item)
            except Unfit as unfit:
                if attribute(key) in required:
                    raise Unfit(unfit.expected, key, *unfit.path) from None
                extra[key] = item
        for key in readers:
            if attribute(key) in required - known.keys():
                raise Unfit("something, but it is missing", key)
        return cls(**known, extra=extra, key_order=tuple(given))

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON object that this record was read from, with its keys in their order."""
        payload: dict[str, Any] = {}
        for key in dict.fromkeys((*self.key_order, *self.READERS, *self.extra)):
            value = getattr(self, attribute(key)) if key in self.READERS else None
            if value not in (None, ()):
                payload[key] = _plain(value)
            elif key in self.extra:
                payload[key] = self.extra[key]
            elif key in self.key_order:
                payload[key] = _plain(value)
        return payload

    def encode(self) -> bytes:
        """`to_payload()` as compact JSON in UTF-8, numbers as they were given.

        Raises:
            WebhookError: `not_json`, for values that JSON cannot hold.
        """
        return write_json(self.to_payload())


def _plain(value: object) -> object:
    match value:
        case Record():
            return value.to_payload()
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def attribute(key: str) -> str:
    """Return the field's name for a JSON key."""
    return key + "_" if key == "from" else key


def unknown(_: object) -> NoReturn:
    """Refuse a key that has no reader, so that it goes to `extra`."""
    raise Unfit("left out")


def text(value: object) -> str:
    """Return a string as it is; raises `Unfit` for anything else, as all readers do."""
    if not isinstance(value, str):
        raise Unfit("text")
    return value


def code(value: object) -> int | str:
    """Return an error's code: a number in Meta's answers, a text in some vendors'."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unfit("a number or text")
    return value


def flag(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return value


def an_object(value: object) -> dict[str, Any]:
    """Return an object as it is."""
    if not isinstance(value, dict):
        raise Unfit("an object")
    return value


def several(reader: Reader) -> Reader:
    """Return a reader of an array whose items all suit `reader`."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Unfit("an array")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(reader(item))
            except Unfit as unfit:
                raise Unfit(unfit.expected, str(index), *unfit.path) from None
        return tuple(items)

    return read
