"""The commands as a tree of data, read from the functions that they are: for completion, and for the reference."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tellwire.cli import COMMANDS, loaded


class Parameter(Struct, frozen=True, kw_only=True):
    """An option or an argument: its names, what it takes ("" for a flag), and its help."""

    names: tuple[str, ...]
    takes: str
    help: str
    is_option: bool
    required: bool
    default: str = ""


class Node(Struct, frozen=True, kw_only=True):
    """A command or one below it: `path` such as ("endpoints", "create")."""

    path: tuple[str, ...]
    help: str
    example: str
    parameters: tuple[Parameter, ...]
    below: tuple[Node, ...] = ()


def tree() -> tuple[Node, ...]:
    """Return all commands, in the order of the overview."""
    return tuple(_node((name,), loaded(name)) for name in COMMANDS)


def _node(path: tuple[str, ...], command: Any) -> Node:
    below = getattr(command, "commands", {})
    return Node(
        path=path,
        help=_text(command.help or ""),
        example=" ".join((command.epilog or "").split()).removeprefix("Example: "),
        parameters=tuple(_parameter(each) for each in command.params if not getattr(each, "hidden", False)),
        below=tuple(_node((*path, name), each) for name, each in below.items()),
    )


def _parameter(parameter: Any) -> Parameter:
    is_option = parameter.param_type_name == "option"
    flag = getattr(parameter, "is_flag", False)
    default = parameter.default
    shown = "" if default in (None, "", False, True, (), []) or callable(default) else str(default)
    names = (
        (*parameter.opts, *parameter.secondary_opts) if is_option else (parameter.metavar or parameter.name.upper(),)
    )
    takes = "" if flag else parameter.metavar or "VALUE"
    return Parameter(
        names=tuple(names),
        takes=takes if is_option else "",
        help=_text(getattr(parameter, "help", None) or ""),
        is_option=is_option,
        required=bool(parameter.required),
        default=shown,
    )


def _text(given: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in given.split("\n\n")).strip()
