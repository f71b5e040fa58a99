"""USE CASE. Asks Meta about every account: its token, number, app, subscription, callback URL and webhook fields."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tellwire.doctor import meta_answers
from tellwire.doctor.check import Finding
from tellwire.doctor.checks import fault, fine
from tellwire.doctor.meta_answers import NUMBER_FIELDS, Told
from tellwire.model.tenancy import Account
from tellwire.ports.http_out import Graph

MOST_ACCOUNTS = 50
"""So many accounts are asked about in one examination: Meta counts the calls."""


class Ours(Struct, frozen=True):
    """What is expected at Meta: our callback URL, "" if it is not known, and the app secrets (with the id that one is
    bound to, "" for none)."""

    callback: str
    secrets: Sequence[tuple[str, str]]


async def examine(graph: Graph, accounts: Sequence[Account], ours: Ours, now: float) -> list[Finding]:
    """Return what is found about each account; what several share is asked once."""
    found: list[Finding] = []
    asked = _Asked(graph)
    for account in accounts[:MOST_ACCOUNTS]:
        about = f"{account.name} ({account.phone_number_id})" if account.name else account.phone_number_id
        found += await _account(asked, account, ours, now, about)
        if found and found[-1].check == "graph":
            break  # what does not answer now is not asked for every account
    return found


class _Asked:
    """Answers that were asked for once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[tuple[str, str], Told] = {}

    async def get(self, token: str, path: str, **query: str) -> Told:
        place = token, path
        if place not in self._known:
            answer = await self._graph.ask(token, path, query=query or None)
            self._known[place] = _told(answer.status, answer.body, answer.cause if answer.failure else "", token)
        return self._known[place]


def _told(status: int, body: bytes, cause: str, token: str) -> Told:
    """Return an answer without the token, which Meta may quote."""
    if cause:
        return Told(0, None, cause)
    try:
        text = body.decode().replace(token, "…") if token else body.decode()
        return Told(status, msgspec.json.decode(text))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Told(status, None, f"it answered {status} with something that is no JSON")


async def _account(asked: _Asked, account: Account, ours: Ours, now: float, about: str) -> list[Finding]:
    if not account.access_token:
        return [fault("token", "missing", "It has none.", about=about)]
    token = account.access_token
    debugged = await asked.get(token, "debug_token", input_token=token)
    found = meta_answers.token(debugged, now, about=about)
    if found[0].state == "broken":
        return found
    shown = await asked.get(token, account.phone_number_id, fields=NUMBER_FIELDS)
    found += meta_answers.number(shown, account.phone_number_id, about=about)
    if found[-1].check == "graph":
        return found
    app_id, given = meta_answers.app_of(debugged), meta_answers.overrides(shown)
    if account.waba_id:
        apps = await asked.get(token, f"{account.waba_id}/subscribed_apps")
        found.append(meta_answers.subscribed(apps, app_id, about=about))
    else:
        found.append(fault("app_subscribed", "no_waba", "It names no WhatsApp business account.", about=about))
    secrets = _secrets(account, ours) if app_id else []
    app, secret_found = await _app(asked, app_id, secrets, about)
    found += secret_found
    if app is None:
        return [*found, meta_answers.callback_of(given, ours.callback, about=about)]
    return [*found, *meta_answers.subscriptions(app, ours.callback, given, about=about)]


async def _app(asked: _Asked, app_id: str, secrets: Sequence[str], about: str) -> tuple[Told | None, list[Finding]]:
    """Return the subscriptions of an app, asked with the first of the secrets that is its; None when none is."""
    refused = False
    for secret in secrets:
        told = await asked.get(f"{app_id}|{secret}", f"{app_id}/subscriptions")
        if told.ok:
            return told, [fine("app_secret_at_meta", f"of the app {app_id}", about=about)]
        refused = refused or meta_answers.app_secret_refused(told)
    if not refused:
        return None, []
    cause = f"None of the {len(secrets)} known is the secret of the app {app_id}."
    return None, [fault("app_secret_at_meta", "another", cause, about=about)]


def _secrets(account: Account, ours: Ours) -> list[str]:
    """Return the app secrets that speak for an account, its own first."""
    shared = [secret for secret, of in ours.secrets if of in ("", account.phone_number_id, account.waba_id)]
    return list(dict.fromkeys([*([account.app_secret] if account.app_secret else []), *shared]))
