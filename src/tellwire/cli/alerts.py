"""Show through which channels alerts go and what was told, and send a test."""

from __future__ import annotations

from typing import Any

import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, print_json, print_table
from tellwire.cli.server import Api, talks_to_server

alerts = typer.Typer(
    help="List what alerts told, and send a test through every channel.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_FAILED = 1


@alerts.command("list", epilog="Example: tellwire alerts list --json")
@talks_to_server()
def list_(api: Api, *, json: Json = False) -> None:
    """Show the channels, what does not work or did not lately, and what each channel was told."""
    known = api.call("GET", "alerts")
    if json:
        print_json(known)
        return
    if not known["channels"]:
        printing.err("tellwire: no channel is set; see docs/how-to/alerts.md\n")
    else:
        rows = [[each["channel"], each["to"], _state(each), str(each["waiting"])] for each in known["channels"]]
        print_table(rows, header=["CHANNEL", "TO", "STATE", "WAITING"])
    if known["findings"]:
        printing.out("\n")
        print_table(
            [_finding(each) for each in known["findings"]], header=["SEVERITY", "WHAT", "BEGAN", "OVER", "TOLD"]
        )


@alerts.command("test", epilog="Example: tellwire alerts test")
@talks_to_server()
def send_test(api: Api, *, json: Json = False) -> None:
    """Send a test through every channel, and show what each answers; exit code 1 if one does not take it."""
    tested = api.call("POST", "alerts", "test")
    if json:
        print_json(tested)
    else:
        rows = [
            [each["channel"], each["to"], "✓" if each["ok"] else "✗", each["answer"], f"{each['milliseconds']} ms"]
            for each in tested["channels"]
        ]
        print_table(rows, header=["CHANNEL", "TO", "", "ANSWER", "TOOK"])
    if not tested["ok"]:
        raise typer.Exit(_FAILED)


def _state(channel: dict[str, Any]) -> str:
    if channel["state"] == "failing":
        return f"failing since {_minute(channel['failing_since'])}: {channel['cause']}"
    return f"last took one at {_minute(channel['sent_at'])}" if channel["sent_at"] else "not used yet"


def _finding(finding: dict[str, Any]) -> list[str]:
    told = ", ".join(f"{each['channel']} {_minute(each['at'])}" for each in finding["told"])
    waits = ", ".join(finding["waits_for"])
    return [
        finding["severity"],
        finding["title"],
        _minute(finding["begun_at"]),
        _minute(finding["over_at"]) if finding["over_at"] else "–",
        "; ".join(part for part in (told, waits and f"waits for {waits}") if part) or "–",
    ]


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")
