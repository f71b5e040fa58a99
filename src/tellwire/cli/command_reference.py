"""Write the reference page of the command line from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

from tellwire.cli.server import OPTIONS
from tellwire.cli.tree import Node, Parameter, tree

_WHERE = tuple(OPTIONS)


def reference() -> str:
    """Return docs/reference/command-line.md."""
    return "\n".join(_lines(tree())) + "\n"


def _lines(commands: tuple[Node, ...]) -> Iterator[str]:
    yield "<!-- Made by tellwire.cli.command_reference from the commands; a test compares them. -->"
    yield "# The command line"
    yield ""
    yield "[Using it](../how-to/command-line.md) is a page of its own. In a checkout `./run` stands for `tellwire`."
    yield ""
    yield "## Exit codes"
    yield ""
    yield "| code | meaning |"
    yield "|---|---|"
    yield "| 0 | done |"
    yield "| 1 | it failed, or something was found that is not as it should be |"
    yield "| 2 | wrong usage, settings or input; a part of an id that fits several |"
    yield "| 3 | no server answers |"
    yield "| 4 | there is nothing of this name |"
    yield "| 130 | ended by Ctrl-C (`tail`) |"
    yield ""
    yield "## Which server"
    yield ""
    yield "The commands that talk to a server take these as well; the sections below do not repeat them."
    yield ""
    some = next(each for node in commands for each in (node, *node.below) if _talks(each))
    yield from _table([each for each in some.parameters if _is_where(each)])
    for node in commands:
        yield from _section(node, "##")
        for each in node.below:
            yield from _section(each, "###")


def _section(node: Node, heading: str) -> Iterator[str]:
    yield ""
    yield f"{heading} tellwire {' '.join(node.path)}"
    yield ""
    yield _escaped(node.help) + (" Talks to a server." if _talks(node) else "")
    own = [each for each in node.parameters if not (_talks(node) and _is_where(each))]
    if own:
        yield ""
        yield from _table(own)
    if node.example and not node.below:
        yield ""
        yield "```sh"
        yield from node.example.split(", tellwire ")[:1]
        yield "```"


def _talks(node: Node) -> bool:
    return {name for each in node.parameters for name in each.names} >= set(_WHERE)


def _is_where(parameter: Parameter) -> bool:
    return bool(set(parameter.names) & set(_WHERE))


def _table(parameters: list[Parameter]) -> Iterator[str]:
    yield "| | meaning |"
    yield "|---|---|"
    for each in parameters:
        name = ", ".join(f"`{name}`" for name in each.names) + (f" `{each.takes}`" if each.takes else "")
        default = f" Default: `{each.default}`." if each.default else ""
        needed = " Required." if each.required else ""
        yield f"| {_escaped(name)} | {_escaped(each.help)}{default}{needed} |"


def _escaped(said: str) -> str:
    return said.replace("|", "\\|").replace("<", "&lt;") if "`" not in said else said.replace("|", "\\|")
