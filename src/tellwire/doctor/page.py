"""PURE. The page of all checks: docs/how-to/doctor.md. A test compares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tellwire.doctor.check import STATES, Check
from tellwire.doctor.checks_here import HERE
from tellwire.doctor.checks_meta import META
from tellwire.doctor.checks_public import PUBLIC
from tellwire.doctor.checks_server import SERVER

_PREFACE = """<!-- Made from tellwire.doctor.checks by `./run doctor --reference`; a test compares them. -->
# Find out what is wrong: `tellwire doctor`

```sh
tellwire doctor          # what is not ok, each with its remedy; --all tells what is ok as well
tellwire doctor --json   # everything, for scripts
```

It checks the settings and files of the machine that it runs on, and has the running server examine itself
(`POST /v1/doctor`, with an operator's key): its public URL by requests to it, every account by Meta's Graph API, and
its own figures. Nothing is changed, and nothing is stored: the POST that tries the app secret is no JSON, so it is
refused once its signature has been found right. Without a server the settings, the files and the database are checked.

A check is **ok**, a **warning** (it works, but look at it), **broken**, or **cannot be checked**. The exit code is 0
when nothing is broken, 1 when something is, 3 when no server runs.

What Meta is asked costs calls of the account's limit (200 an hour): about four for each account, at most 50 accounts.
"""
_PARTS: tuple[tuple[str, str, Mapping[str, Check]], ...] = (
    ("Here", "On the machine that the command runs on.", HERE),
    (
        "The public URL",
        "The server asks itself through `PUBLIC_URL`, as Meta would; through the local URL where that leads elsewhere.",
        PUBLIC,
    ),
    ("At Meta", "For each account, with its access token; what the app says, with its app secret.", META),
    (
        "The server",
        "Its own figures. The causes and remedies of the verdict stand in [Operate](../how-to/operate.md).",
        SERVER,
    ),
)


def reference() -> str:
    """Return the page in Markdown."""
    return "\n".join([_PREFACE, *(line for part in _PARTS for line in _part(*part))])


def _part(title: str, words: str, checks: Mapping[str, Check]) -> Iterator[str]:
    yield f"## {title}\n\n{words}\n\n| check | ok means | what can be wrong | remedy | command |\n|---|---|---|---|---|"
    for name, check in checks.items():
        first = f"| `{name}` | {check.title} |"
        if not check.faults:
            yield f"{first} see the verdict | | |"
        for fault, what in check.faults.items():
            command = f"`{what.command}`" if what.command else ""
            yield f"{first} `{fault}` ({STATES[what.state]}) | {what.remedy} | {command} |"
            first = "| | |"
    yield ""
