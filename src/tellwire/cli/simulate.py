"""Implement `tellwire simulate`: post what Meta would send to any server; with `--serve` simulate all of Meta."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tellwire.cli import DONE, FAILED, printing, settings_in_force
from tellwire.cli.dev.home import read_home
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import secret_of
from tellwire.cli.simulate_serve import Serving, knobs_of
from tellwire.cli.simulate_serve import serve as serving
from tellwire.errors import BadSettings
from tellwire.http_client.sender import open_sender
from tellwire.ports.http_out import Answer
from tellwire.security.addresses import ANYWHERE
from tellwire.simulator import (
    BUSINESS,
    HAPPENINGS,
    PEOPLE,
    Business,
    Customer,
    Person,
    Poster,
    Round,
    happenings,
    rounds,
)


def simulate(
    *,
    url: Annotated[str, typer.Option(help="The webhook to post to.")] = "http://127.0.0.1:8700/meta/webhook",
    secret: Annotated[
        str,
        typer.Option(
            help="The Meta app secret to sign with, @FILE reads it from a file; unless given, that of the settings or "
            "of a `tellwire dev` in this folder."
        ),
    ] = "",
    messages: Annotated[int, typer.Option(min=1, help="How many things customers do.")] = 10,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Updates in one POST.")] = 1,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Post everything twice, also at once.")] = False,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Out of order, statuses before their messages.")] = False,
    types: Annotated[str, typer.Option(help=f"What they do, in turn: {', '.join(HAPPENINGS)}, or all.")] = "text",
    seed: Annotated[
        int | None, typer.Option(help="The same seed makes the same message ids: a second run changes nothing.")
    ] = None,
    sender: Annotated[str, typer.Option("--from", metavar="NUMBER", help="One customer with this number.")] = "",
    phone_number_id: Annotated[
        str, typer.Option(metavar="ID", help="The business's phone_number_id.")
    ] = BUSINESS.phone_number_id,
    rate: Annotated[
        float, typer.Option(min=0, help="POSTs a second, slow answers or not; 0: one after the other.")
    ] = 0,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Be Meta instead: the Graph API for code that sends, its webhooks to --url."),
    ] = False,
    host: Annotated[str, typer.Option(help="With --serve: the address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --serve: the port; 0: a free one.")] = 8702,
    token: Annotated[
        str, typer.Option(help="With --serve: the access token that is valid, @FILE reads it from a file.")
    ] = "",
    knob: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="With --serve: turn a knob, such as throttle_rate=0.05; repeatable."),
    ] = None,
    json: Json = False,
) -> int:
    """Post what simulated customers do to a webhook, signed as Meta signs. Exit 1 when not all was answered 200.

    With --serve be Meta, until a signal comes.
    """
    _check(url)
    business = Business(
        waba_id=BUSINESS.waba_id,
        phone_number_id=phone_number_id,
        display_phone_number=BUSINESS.display_phone_number,
    )
    if serve:
        return serving(
            Serving(
                host=host,
                port=port,
                callback=url,
                secret=secret_of("--secret", secret) or _configured_secret(phone_number_id),
                business=business,
                token=secret_of("--token", token),
                knobs=knobs_of(knob or ()),
                seed=seed,
                as_json=json,
            )
        )
    random = Random(seed)  # noqa: S311 - nothing here is secret
    people = (Person(name="Cliente Ejemplo", wa_id=sender.removeprefix("+")),) if sender else PEOPLE
    customers = [Customer(person, business, random) for person in people]
    updates = happenings(customers, [HAPPENINGS[name] for name in _names(types)], messages, at=int(time.time()))
    plan = rounds(updates, random, batch=batch, duplicates=duplicates, shuffle=shuffle)
    started = time.perf_counter()
    answers = asyncio.run(_post(url, secret_of("--secret", secret) or _configured_secret(phone_number_id), plan, rate))
    _report(answers, len(updates), time.perf_counter() - started, as_json=json)
    return DONE if all(answer.status == 200 for answer in answers) else FAILED


def _check(url: str) -> None:
    with suppress(ValueError):  # malformed brackets, or a port that is no number
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return
    raise BadSettings(f"--url takes an http:// or https:// URL, not {url!r}")


def _names(types: str) -> Sequence[str]:
    """Return the names of the happenings in `--types`."""
    names = [name.strip() for name in types.split(",") if name.strip()]
    for name in names:
        if name not in HAPPENINGS and name != "all":
            raise BadSettings(f"--types takes {', '.join(HAPPENINGS)} or all, not {name!r}")
    return list(HAPPENINGS) if "all" in names or not names else names


def _configured_secret(phone_number_id: str) -> str:
    """Return the app secret of the settings for this number or for all, else that of a `dev` in this folder."""
    given = settings_in_force.load().meta_app_secret
    for secret in given:
        if secret.bound_to in ("", phone_number_id):
            return secret.value
    if not given and (home := read_home()) is not None:
        return home.app_secret
    raise BadSettings("--secret or TELLWIRE_META_APP_SECRET must say what to sign with")


async def _post(url: str, secret: str, plan: Sequence[Round], rate: float) -> list[Answer]:
    """Post round after round, or at `rate` POSTs a second; return the answers in the plan's order."""
    sender = open_sender(reach=ANYWHERE)
    poster = Poster(sender, url, secret)
    loop = asyncio.get_running_loop()
    began = loop.time()
    under_way: list[asyncio.Task[Answer]] = []
    try:
        for number, together in enumerate(plan):
            if rate:
                await asyncio.sleep(began + number / rate - loop.time())
            posts = [asyncio.create_task(poster.post(body)) for body in together]
            under_way += posts
            if not rate:
                await asyncio.wait(posts)
            if sys.stderr.isatty():
                printing.progress(f"{number + 1} of {len(plan)}")
        return list(await asyncio.gather(*under_way))
    finally:
        await sender.close()


def _report(answers: Sequence[Answer], updates: int, seconds: float, *, as_json: bool) -> None:
    counts = Counter(str(answer.status) if answer.status else answer.failure for answer in answers)
    if as_json:
        print_json(
            {
                "ok": all(answer.status == 200 for answer in answers),
                "posts": len(answers),
                "updates": updates,
                "answers": dict(counts.most_common()),
                "seconds": round(seconds, 3),
            }
        )
    else:
        told = ", ".join(f"{count} × {what}" for what, count in counts.most_common())
        printing.out(f"{updates} updates in {len(answers)} POSTs in {seconds:.2f} s: {told}\n")
    for what, answer in {answer.status or answer.failure: answer for answer in answers if answer.status != 200}.items():
        said = answer.body[:500].decode("utf-8", "replace").strip()
        printing.err(f"tellwire: {what}: {said or answer.cause}\n")
