"""Implement `tellwire completion`: a script that completes commands, what is below them, and options."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from tellwire import __version__
from tellwire.cli import printing
from tellwire.cli.output import Json, print_json
from tellwire.cli.tree import Node, tree
from tellwire.errors import BadSettings

_HEAD = f"completion of tellwire {__version__}; made by `tellwire completion`"


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    *,
    json: Json = False,
) -> None:
    """Print a script for your shell. It is complete in itself and starts nothing: print it again after an upgrade."""
    if shell not in _SCRIPTS:
        raise BadSettings(f"there is a script for {', '.join(_SCRIPTS)}; not for {shell}")
    script = _SCRIPTS[shell](tree())
    if json:
        print_json({"shell": shell, "script": script})
    else:
        printing.out_exactly(script)


def _options(node: Node) -> list[str]:
    return [name for each in node.parameters if each.is_option for name in each.names if name.startswith("--")] + [
        "--help"
    ]


def _words(words: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(words))


def _bash(commands: Iterable[Node]) -> str:
    commands = tuple(commands)
    lines = [
        f"# {_HEAD}",
        "_tellwire() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" words=""',
        "    if ((COMP_CWORD == 1)); then",
        f'        words="{_words([*(each.path[0] for each in commands), "--help", "--version"])}"',
        "    else",
        '        case "${COMP_WORDS[1]}" in',
        *_cases(commands, here="COMP_CWORD == 2", next_="${COMP_WORDS[2]}", set_='words="{}"', indent=12),
        "        esac",
        "    fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o default -F _tellwire tellwire",
    ]
    return "\n".join(lines) + "\n"


def _zsh(commands: Iterable[Node]) -> str:
    commands = tuple(commands)
    first = _words([*(each.path[0] for each in commands), "--help", "--version"])
    lines = [
        "#compdef tellwire",
        f"# {_HEAD}",
        "_tellwire() {",
        "    if ((CURRENT == 2)); then",
        f"        compadd -- {first}",
        "        return",
        "    fi",
        '    case "$words[2]" in',
        *_cases(commands, here="CURRENT == 3", next_="$words[3]", set_="compadd -- {}", indent=8),
        "    esac",
        '    [[ "$PREFIX" == -* ]] || _files',
        "}",
        'if [[ "$funcstack[1]" == _tellwire ]]; then _tellwire "$@"; else compdef _tellwire tellwire; fi',
    ]
    return "\n".join(lines) + "\n"


def _cases(commands: Iterable[Node], *, here: str, next_: str, set_: str, indent: int) -> Iterable[str]:
    """Yield the branches of a shell's `case`, one for each command."""
    pad = " " * indent
    for each in commands:
        name = each.path[0]
        if not each.below:
            yield f"{pad}{name}) {set_.format(_words(_options(each)))} ;;"
            continue
        yield f"{pad}{name})"
        yield f"{pad}    if (({here})); then"
        yield f"{pad}        {set_.format(_words([*(one.path[-1] for one in each.below), '--help']))}"
        yield f"{pad}    else"
        yield f'{pad}        case "{next_}" in'
        for one in each.below:
            yield f"{pad}            {one.path[-1]}) {set_.format(_words(_options(one)))} ;;"
        yield f"{pad}        esac"
        yield f"{pad}    fi"
        yield f"{pad}    ;;"


def _fish(commands: Iterable[Node]) -> str:
    lines = [f"# {_HEAD}"]
    for each in commands:
        name = each.path[0]
        lines.append(f"complete -c tellwire -f -n __fish_use_subcommand -a {name} -d {_said(each)}")
        lines += _fish_options(each, f"__fish_seen_subcommand_from {name}") if not each.below else []
        below = _words(one.path[-1] for one in each.below)
        for one in each.below:
            known = f"__fish_seen_subcommand_from {name}"
            lines.append(
                f"complete -c tellwire -f -n '{known}; and not __fish_seen_subcommand_from {below}' "
                f"-a {one.path[-1]} -d {_said(one)}"
            )
            lines += _fish_options(one, f"{known}; and __fish_seen_subcommand_from {one.path[-1]}")
    return "\n".join(lines) + "\n"


def _fish_options(node: Node, condition: str) -> list[str]:
    return [
        f"complete -c tellwire -n '{condition}' -l {name[2:]}{' -r' if each.takes else ''} "
        f"-d {shlex.quote(each.help.partition('. ')[0])}"
        for each in node.parameters
        if each.is_option
        for name in each.names
        if name.startswith("--")
    ]


def _said(node: Node) -> str:
    return shlex.quote(node.help.split("\n", 1)[0])


_SCRIPTS: dict[str, Callable[[Iterable[Node]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
