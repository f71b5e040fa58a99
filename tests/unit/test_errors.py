"""The tree of exceptions that `errors` draws is the tree that the code has."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import tellwire
from tellwire import errors

_NODE = re.compile(r"[├└]── (?P<name>[A-Za-z_.]+)(?: (?P<status>\d{3}))?")
_NOT_IMPORTED = ("tellwire.__main__", "tellwire.stores.migrations")
"""What runs when it is imported."""


def _drawn() -> dict[str, tuple[str, int | None]]:
    """Of each exception in the drawing its parent and its HTTP status."""
    found: dict[str, tuple[str, int | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if re.fullmatch(r"[A-Z][A-Za-z]+", line):
            above = [(-1, line)]
            continue
        for node in _NODE.finditer(line):
            depth = len(line) - len(line.lstrip())
            while above[-1][0] >= depth:
                above.pop()
            assert node["name"] not in found, f"{node['name']} is drawn twice"
            found[node["name"]] = (above[-1][1], int(node["status"]) if node["status"] else None)
            above.append((depth, node["name"]))
    return found


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(tellwire.__path__, "tellwire."):
        if not module.name.startswith(_NOT_IMPORTED):
            yield module.name


def _name(exception: type[BaseException]) -> str:
    """An exception of `errors` goes by its name, one of another module by that module's too, others as Python does."""
    module = exception.__module__
    if module == errors.__name__ or not module.startswith("tellwire."):
        return exception.__name__
    return f"{module.removeprefix('tellwire.')}.{exception.__name__}"


def _raised() -> dict[str, tuple[str, int | None]]:
    """Of each exception that a module of tellwire defines its parent and its HTTP status."""
    found: dict[str, tuple[str, int | None]] = {}
    for name in _modules():
        module = importlib.import_module(name)
        for each in vars(module).values():
            if not isinstance(each, type) or not issubclass(each, BaseException) or each.__module__ != name:
                continue
            if each is not errors.TellwireError:
                status = each.status if issubclass(each, errors.Problem) else None
                found[_name(each)] = (_name(each.__bases__[0]), status)
    return found


def test_the_drawing_holds_every_exception_under_its_parent_with_its_status() -> None:
    drawn, raised = _drawn(), _raised()
    assert len(raised) > 20, "the modules were not looked through"
    for name in sorted({*drawn, *raised}):
        assert name in raised, f"errors.py draws {name}, and no module defines it: take it out of the drawing"
        assert name in drawn, f"{name} is missing in the drawing of errors.py: draw it below {raised[name][0]}"
        assert drawn[name] == raised[name], f"errors.py draws {name} otherwise than the code has it"
