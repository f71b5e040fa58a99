"""Implement `tellwire doctor`: what is wrong with an installation, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from msgspec.structs import asdict

from tellwire import __version__
from tellwire.cli import DONE, FAILED, NO_SERVER, doctor_here, printing, server
from tellwire.cli.client import NoServer, Rejected
from tellwire.cli.output import Json, print_indented, print_json
from tellwire.cli.server import Where, connected
from tellwire.doctor.check import STATES, Finding
from tellwire.doctor.checks import CHECKS, fault, fine, read, works
from tellwire.doctor.page import reference

_MARKS = {"ok": "✓", "warning": "!", "broken": "✗", "unknown": "?"}


def doctor(
    *,
    json: Json = False,
    every: Annotated[bool, typer.Option("--all", help="Tell the checks that are ok one by one, too.")] = False,
    reference_page: Annotated[
        bool, typer.Option("--reference", help="Print the page of all checks with their remedies, in Markdown.")
    ] = False,
    server_url: Annotated[str, server.URL] = "",
    server_key: Annotated[str, server.KEY] = "",
    server_profile: Annotated[str, server.PROFILE] = "",
) -> int:
    """Check the settings here, and have the running server check itself, its public URL, and what Meta says of its
    numbers. Nothing is changed. Exit code 0: nothing is broken; 1: something is; 3: no server runs."""
    if reference_page:
        printing.out(reference())
        return DONE
    where = Where(server_url=server_url, server_key=server_key, server_profile=server_profile)
    elsewhere = bool(server_url or server_profile)
    found = [] if elsewhere else doctor_here.examine()
    unreadable = any(each.state == "broken" and each.check == "settings" for each in found)
    if not unreadable or elsewhere:
        found += _of_server(where)
    if any(each.fault == "none" for each in found) and not elsewhere and not unreadable:
        found += doctor_here.examine_database()
    _tell(found, as_json=json, every=every)
    if any((each.check, each.fault) == ("server", "none") for each in found):
        return NO_SERVER
    return DONE if works(found) else FAILED


def _of_server(where: Where) -> list[Finding]:
    """Return what the server finds, and what is found about the server from here."""
    try:
        with connected(where) as api:
            said = api.call("POST", "doctor")
            url = getattr(api, "url", "")
            found = [fine("server", url), _version(said["version"]), *doctor_here.seen_from_here(api, said["at"])]
    except NoServer as error:
        return [fault("server", "none", f"{error}.")]
    except Rejected as error:
        if error.status in (404, 405):
            return [fault("server", "too_old", "It does not know this call.")]
        if str(error.problem.get("type", "")).endswith(":host-not-allowed"):
            return [fault("server", "host_refused", str(error))]
        if error.status in (401, 403):
            return [fault("server", "not_operator", str(error))]
        raise
    return [*found, *(read(each) for each in said["checks"])]


def _version(theirs: str) -> Finding:
    if theirs != __version__:
        return fault("versions", "differ", f"Here is {__version__}, the server is {theirs}.")
    return fine("versions", theirs)


def _tell(found: Sequence[Finding], *, as_json: bool, every: bool) -> None:
    if as_json:
        rows = [{"title": _title(each), **asdict(each)} for each in found]
        print_json({"works": works(found), "checks": rows})
        return
    fine_ones = [each for each in found if each.state == "ok"]
    for each in found:
        if each.state == "ok" and not every:
            continue
        about = f" [{printing.on_one_line(each.about)}]" if each.about else ""
        said = _title(each) if each.state == "ok" else printing.on_one_line(each.cause)
        printing.out(f"{_MARKS[each.state]} {each.check}{about}: {said}\n")
        if each.remedy:
            print_indented(f"{STATES[each.state]}. {each.remedy}")
        if each.command:
            printing.out(f"    $ {each.command}\n")
    counts = {state: sum(each.state == state for each in found) for state in ("broken", "warning", "unknown")}
    told = [f"{counts['broken']} broken", f"{counts['warning']} to look at", f"{counts['unknown']} not checked"]
    printing.out(f"{len(fine_ones)} ok, {', '.join(told)}\n")


def _title(finding: Finding) -> str:
    check = CHECKS.get(finding.check)
    return check.title if check else finding.check
