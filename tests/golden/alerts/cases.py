"""Messages with alerts, and each in the three shapes that it is sent in."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import replace

from tellwire.alerts.bodies import as_chat, as_json, as_mail
from tellwire.alerts.findings import Finding, Told
from tellwire.alerts.message import Message
from tellwire.alerts.rules import Item, What
from tellwire.model.units import DAY, HOUR, MINUTE
from tellwire.verdict.rules import Line

FOLDER = Path(__file__).parent
NOW = 1_778_038_763_000_000
SHOP = "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f"
HOOK = "0199a7c2-4f11-7a01-8b22-5c6d7e8f9a0b"

FAILING = Finding(
    line=Line(
        kind="endpoint_failing",
        cause=f"{HOOK} has failed for 5 minutes: connection refused.",
        hurts="1,204 deliveries wait for <the CRM> & co.",
        since=NOW - 5 * MINUTE,
        count=1204,
        organization_id=SHOP,
        endpoint_id=HOOK,
    ),
    name=f"endpoint.{HOOK}",
    begun_at=NOW - 4 * MINUTE,
    seen_at=NOW,
)
DISABLED = replace(
    FAILING,
    line=replace(FAILING.line, kind="endpoint_disabled", cause=f"{HOOK}: it answered 410.", since=NOW - 2 * HOUR),
    told={"": Told(begun_at=NOW, came_at=NOW, at=NOW, kind="endpoint_failing", severity="warning")},
)
PAUSED = Finding(
    line=Line(
        kind="account_paused",
        cause="Shop (375446602312881): Meta refuses the access token; ask +55 11 99999 1234.",
        hurts="17 messages wait to be sent.",
        count=17,
        organization_id=SHOP,
        phone_number_id="375446602312881",
    ),
    name="account_paused.375446602312881",
    begun_at=NOW - DAY - HOUR,
    seen_at=NOW,
)
DISK = Finding(
    line=Line(
        kind="disk_nearly_full",
        cause="For the database (/srv): 0.5 of 20.0 GiB are free.",
        hurts="Nothing yet; everything, once it is full.",
    ),
    name="disk_nearly_full",
    begun_at=NOW - 30 * MINUTE,
    seen_at=NOW - 10 * MINUTE,
    over_at=NOW - 10 * MINUTE,
)


def message(*items: tuple[What, Finding]) -> Message:
    return Message(
        id="alert_0123456789abcdef0123456789abcdef",
        at=NOW,
        url="https://wa.example.org",
        channel="",
        items=[Item(what, finding) for what, finding in items],
        names={SHOP: "Flower shop"},
    )


MESSAGES = {
    "test": message(),
    "came": message(("came", FAILING)),
    "changed": message(("changed", DISABLED)),
    "over": message(("over", replace(FAILING, over_at=NOW - MINUTE))),
    "many": message(("stands", PAUSED), ("came", FAILING), ("was", DISK)),
    "very many": message(
        *(("came", replace(FAILING, name=f"endpoint.{number}")) for number in range(30)),
    ),
}


def shapes(each: Message) -> dict[str, str]:
    """The three shapes of a message as texts, by the ending of their file."""
    mail = as_mail(each, sender="tellwire@example.org", to=["ana@example.org", "ops@example.org"])
    head = "".join(f"{name}: {value}\n" for name, value in mail.items())
    return {
        "json": json.dumps(json.loads(as_json(each)), indent=2, ensure_ascii=False) + "\n",
        "slack.json": json.dumps(json.loads(as_chat(each)), indent=2, ensure_ascii=False) + "\n",
        "mail.txt": f"{head}\n{mail.get_content()}",
    }


def texts() -> dict[Path, str]:
    """Every golden file with its text."""
    return {
        FOLDER / f"{name.replace(' ', '-')}.{ending}": text
        for name, each in MESSAGES.items()
        for ending, text in shapes(each).items()
        if name != "very many"
    }
