"""Implement `tellwire config`: the settings in force."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire import settings
from tellwire.cli import printing, settings_in_force
from tellwire.cli.output import Json, print_json, print_table


def config(
    *,
    json: Json = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the reference page of all settings, in Markdown.")
    ] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print the reference page of all metrics, in Markdown.")
    ] = False,
    sending_limits: Annotated[
        bool, typer.Option("--sending-limits", help="Print the reference page of what can be sent, in Markdown.")
    ] = False,
    command_line: Annotated[
        bool, typer.Option("--command-line", help="Print the reference page of all commands, in Markdown.")
    ] = False,
) -> None:
    """Print the settings in force and where each comes from, secrets masked."""
    if command_line:
        from tellwire.cli import command_reference  # noqa: PLC0415 - each page needs much that the settings do not

        printing.out(command_reference.reference())
        return
    if sending_limits:
        from tellwire.meta.outgoing import reference_page  # noqa: PLC0415

        printing.out(reference_page.reference())
        return
    if metrics:
        from tellwire.web.operations import exposition  # noqa: PLC0415

        printing.out(exposition.reference())
        return
    if reference:
        printing.out(settings.reference())
        return
    loaded = settings_in_force.read()
    if json:
        print_json(
            {
                name.upper(): {"value": settings.shown(loaded.settings, name) or None, "source": source}
                for name, source in loaded.sources.items()
            }
        )
        return
    rows = [
        (
            settings.variable_of(name),
            source,
            settings.shown(loaded.settings, name) or f"({settings.SETTINGS[name].default or 'none'})",
        )
        for name, source in loaded.sources.items()
    ]
    print_table(rows, header=("SETTING", "SOURCE", "VALUE"))
