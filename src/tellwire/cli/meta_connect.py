"""The steps of `tellwire meta connect`. Each looks first whether it is done; the rules are the doctor's."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from tellwire.cli.client import Rejected
from tellwire.cli.graph_calls import GraphCalls
from tellwire.doctor import meta_answers
from tellwire.doctor.check import Finding
from tellwire.doctor.checks import CHECKS, fault, read
from tellwire.doctor.meta_answers import FIELDS, NUMBER_FIELDS, OBJECT, Told
from tellwire.errors import BadSettings

_WEBHOOK = "/meta/webhook"
_MOST_NUMBERS = 100


class Given(Struct, frozen=True, kw_only=True):
    """What the caller knows; "" for what is asked for, found out or not needed."""

    app_id: str = ""
    app_secret: str = ""
    access_token: str = ""
    verify_token: str = ""
    waba_id: str = ""
    public_url: str = ""
    pin: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """A step and how it ended. `left`: it was not needed, or not wanted; `said` holds no secret."""

    name: str
    state: Literal["done", "already", "left", "failed"]
    said: str
    about: str = ""
    remedy: str = ""


class Ask(Protocol):
    """Ask a person for something that an option can give; raises `BadSettings` where nobody can be asked."""

    def __call__(self, option: str, what: str, /, *, secret: bool) -> str: ...


class _Failed(Exception):  # noqa: N818 - the end of the steps
    def __init__(self, step: Step) -> None:
        super().__init__(step.name)
        self.step = step


class Connect:
    """Connects a server with Meta.

    Args:
        reach: returns the server, with an operator's key; called again after it may have been started again.
        given: what is known.
        ask: asks for the rest.
        sure: asks whether to go on.
        again: tells of a failed step that a person can mend meanwhile; returns whether to try it again.
    """

    def __init__(
        self,
        reach: Callable[[], Any],
        given: Given,
        *,
        ask: Ask,
        sure: Callable[[str], bool],
        again: Callable[[Step], bool],
    ) -> None:
        self._reach, self._api = reach, reach()
        self._given, self._ask, self._sure, self._again = given, ask, sure, again
        self._numbers: list[dict[str, Any]] = []

    def steps(self) -> Iterator[Step]:
        """Do one step after the other, and yield how each ended; the first that fails is the last.

        Raises:
            BadSettings: something is missing and nobody can be asked; Meta has not been called about it.
        """
        try:
            yield from self._steps()
        except _Failed as failed:
            yield failed.step

    def _steps(self) -> Iterator[Step]:
        settings = self._settings()
        graph = GraphCalls(settings.get("TELLWIRE_META_GRAPH_URL", ""))
        self._need("access_token", "--access-token", "The access token of a system user")
        yield self._token(graph)
        self._need("app_secret", "--app-secret", "The App Secret of the app (App settings, Basic)")
        yield self._secret(graph)
        self._need("waba_id", "--waba-id", "The id of the WhatsApp business account", secret=False)
        yield from self._shown_numbers(graph)
        yield from self._accounts()
        yield self._mended(self._callback_here)
        self._need("verify_token", "--verify-token", "The verify token that META_VERIFY_TOKEN of the server holds")
        yield self._mended(self._handshake)
        yield self._subscribed(graph)
        yield self._mended(lambda: self._webhooks(graph))

    def _mended(self, step: Callable[[], Step]) -> Step:
        """Do a step, again and again for as long as somebody mends what keeps it from being done."""
        while True:
            try:
                return step()
            except _Failed as failed:
                if not self._again(failed.step):
                    raise
                self._api = self._reach()

    def _need(self, name: str, option: str, what: str, *, secret: bool = True) -> None:
        if not getattr(self._given, name):
            self._given = replace(self._given, **{name: self._ask(option, what, secret=secret)})
        if not getattr(self._given, name):
            raise BadSettings(f"{what} is missing: give {option}")

    def _settings(self) -> dict[str, str]:
        try:
            rows = self._api.call("GET", "settings")["data"]
        except Rejected as error:
            if error.status != 403:
                raise
            remedy = CHECKS["server"].faults["not_operator"].remedy
            raise _Failed(Step(name="server", state="failed", said=str(error), remedy=remedy)) from None
        return {row["name"]: row["value"] for row in rows}

    # --- Meta's side: what is given -----------------------------------------------------------------------------------

    def _token(self, graph: GraphCalls) -> Step:
        told = graph.get(self._given.access_token, "debug_token", input_token=self._given.access_token)
        _check("token", meta_answers.token(told, time.time()))
        app = meta_answers.app_of(told)
        if self._given.app_id and app and app != self._given.app_id:
            said = f"The token is of the app {app}, not of {self._given.app_id}."
            raise _Failed(Step(name="token", state="failed", said=said, remedy="Give the app's id and a token of it."))
        wabas = meta_answers.accounts_of(told)
        waba_id = self._given.waba_id or (wabas[0] if len(wabas) == 1 else "")
        self._given = replace(self._given, app_id=self._given.app_id or app, waba_id=waba_id)
        self._need("app_id", "--app-id", "The id of the app", secret=False)
        return Step(name="token", state="already", said=f"valid, of the app {self._given.app_id}")

    def _secret(self, graph: GraphCalls) -> Step:
        told = self._app(graph)
        if told.status == 0:
            _check("app secret", [fault("graph", "unreached", f"{told.words}.")])
        if not told.ok:
            said = f"Meta refuses it for the app {self._given.app_id}: {told.words.rstrip('.')}."
            _check("app secret", [fault("app_secret_at_meta", "another", said)])
        return Step(name="app secret", state="already", said=f"is that of the app {self._given.app_id}")

    def _app(self, graph: GraphCalls) -> Told:
        return graph.get(self._app_token, f"{self._given.app_id}/subscriptions")

    @property
    def _app_token(self) -> str:
        return f"{self._given.app_id}|{self._given.app_secret}"

    def _shown_numbers(self, graph: GraphCalls) -> Iterator[Step]:
        waba_id = self._given.waba_id
        query = {"fields": NUMBER_FIELDS, "limit": str(_MOST_NUMBERS)}
        told = graph.get(self._given.access_token, f"{waba_id}/phone_numbers", **query)
        if told.status == 0:
            _check("numbers", [fault("graph", "unreached", f"{told.words}.")])
        self._numbers = [row for row in told.data() if isinstance(row, dict) and row.get("id")]
        if not told.ok or not self._numbers:
            said = told.words if not told.ok else f"The WhatsApp account {waba_id} has no number"
            _check("numbers", [fault("number", "not_shown", f"{said.rstrip('.')}.")])
        for row in self._numbers:
            yield self._number(graph, row)

    def _number(self, graph: GraphCalls, row: dict[str, Any]) -> Step:
        number, about = str(row["id"]), _named(row)
        found = meta_answers.number(Told(200, row), number, about=about)
        if not any(each.fault == "not_connected" for each in found):
            warned = [each for each in found if each.state != "ok"]
            said, remedy = _together(warned) if warned else (found[0].cause, "")
            return Step(name="number", state="already", about=about, said=said, remedy=remedy)
        if not self._given.pin:
            _check("number", found)
        told = graph.post(
            self._given.access_token, f"{number}/register", messaging_product="whatsapp", pin=self._given.pin
        )
        if not told.ok:
            said = f"It could not be registered: {told.words.rstrip('.')}."
            remedy = "Give the PIN that was set for the number, or reset it in WhatsApp Manager; few tries are allowed."
            raise _Failed(Step(name="number", state="failed", about=about, said=said, remedy=remedy))
        return Step(name="number", state="done", about=about, said="registered")

    # --- our side -----------------------------------------------------------------------------------------------------

    def _accounts(self) -> Iterator[Step]:
        known = {row["phone_number_id"]: row for row in self._api.every("accounts")}
        own = {} if self._knows_secret() else {"app_secret": self._given.app_secret}
        for row in self._numbers:
            number = str(row["id"])
            claims = {"waba_id": self._given.waba_id, "access_token": self._given.access_token, **own}
            display = {"display_phone_number": row["display_phone_number"]} if row.get("display_phone_number") else {}
            try:
                if number in known:
                    self._api.call("PATCH", "accounts", known[number]["id"], body=claims)
                else:
                    name = {"name": row["verified_name"]} if row.get("verified_name") else {}
                    self._api.call("POST", "accounts", body={"phone_number_id": number, **display, **name, **claims})
            except Rejected as error:
                remedy = "Choose the organization that has the account with --organization, or correct what is named."
                raise _Failed(
                    Step(name="account", state="failed", about=_named(row), said=str(error), remedy=remedy)
                ) from None
            how = "has the token" if number in known else "made, with the token"
            said = f"{how}{' and the app secret' if own else ''}"
            yield Step(name="account", state="done", about=_named(row), said=said)

    def _knows_secret(self) -> bool:
        """Return whether META_APP_SECRET of the server has the app secret: it says so of a signed POST, of nothing."""
        body = b"tellwire meta connect"
        signed = hmac.new(self._given.app_secret.encode(), body, hashlib.sha256).hexdigest()
        status, _ = self._api.exchange("POST", _WEBHOOK, body=body, headers={"X-Hub-Signature-256": f"sha256={signed}"})
        return bool(status == 400)

    def _callback_here(self) -> Step:
        set_here = self._settings().get("TELLWIRE_PUBLIC_URL", "")
        url = self._given.public_url or set_here
        if not url:
            _check("public URL", [fault("public_url", "unset", "The server has none.")])
        if url != set_here:
            said = f"The server has {set_here or 'none'}, not {url}."
            remedy = f"Set TELLWIRE_PUBLIC_URL={url} where the server's settings are, and start it again."
            raise _Failed(Step(name="public URL", state="failed", said=said, remedy=remedy))
        self._given = replace(self._given, public_url=url)
        found = [read(each) for each in self._api.call("POST", "doctor")["checks"]]
        of_url = [each for each in found if each.check.startswith("public_") or each.check in _WAY_IN]
        _check("public URL", of_url)
        return Step(name="public URL", state="already", said=f"{url} leads to the server")

    def _handshake(self) -> Step:
        query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": self._given.verify_token}
        status, said = self._api.exchange("GET", f"{_WEBHOOK}?{urlencode(query)}")
        if status != 200 or said != b"1":
            cause = f"The server answers the handshake with {status}: it has another verify token, or none."
            remedy = (
                "Set TELLWIRE_META_VERIFY_TOKEN to the same word where the server's settings are, and start it again."
            )
            raise _Failed(Step(name="verify token", state="failed", said=cause, remedy=remedy))
        return Step(name="verify token", state="already", said="is that of the server")

    # --- Meta's side: what is set -------------------------------------------------------------------------------------

    def _subscribed(self, graph: GraphCalls) -> Step:
        token, path = self._given.access_token, f"{self._given.waba_id}/subscribed_apps"
        found = meta_answers.subscribed(graph.get(token, path), self._given.app_id)
        if found.state == "ok":
            return Step(name="subscription", state="already", said="the app is subscribed to the WhatsApp account")
        told = graph.post(token, path)
        if not told.ok:
            cause = f"Meta refuses it: {told.words.rstrip('.')}."
            _check("subscription", [fault("app_subscribed", "unchecked", cause)], least="unknown")
        return Step(name="subscription", state="done", said="the app is subscribed to the WhatsApp account now")

    def _webhooks(self, graph: GraphCalls) -> Step:
        callback, told = f"{self._given.public_url}{_WEBHOOK}", self._app(graph)
        found = meta_answers.subscriptions(told, callback, {})
        wrong = [each for each in found if each.state != "ok"]
        if not wrong:
            return Step(name="webhooks", state="already", said=f"{callback} gets the fields that matter")
        elsewhere = next((each for each in wrong if each.fault == "elsewhere"), None)
        if elsewhere and not self._sure(f"The app's callback URL is another. {elsewhere.cause} Change it?"):
            return Step(name="webhooks", state="left", said=elsewhere.cause, remedy=elsewhere.remedy)
        fields = ",".join(dict.fromkeys([*FIELDS, *meta_answers.fields_of(told)]))
        made = graph.post(
            self._app_token,
            f"{self._given.app_id}/subscriptions",
            object=OBJECT,
            callback_url=callback,
            verify_token=self._given.verify_token,
            fields=fields,
        )
        if not made.ok:
            said = f"Meta refuses it: {made.words.replace(self._given.verify_token, '…').rstrip('.')}."
            remedy = "Let Meta reach the callback URL: `tellwire doctor` checks it; then run this again."
            raise _Failed(Step(name="webhooks", state="failed", said=said, remedy=remedy))
        return Step(name="webhooks", state="done", said=f"{callback} gets the fields that matter now")


_WAY_IN = ("certificate", "allowed_hosts")


def _check(name: str, found: Sequence[Finding], *, least: str = "broken") -> None:
    """End the steps if something was found that keeps them from going on."""
    for each in found:
        if each.state in ("broken", least) or each.fault == "unset":
            command = f" ({each.command})" if each.command not in ("", "tellwire meta connect") else ""
            raise _Failed(
                Step(name=name, state="failed", about=each.about, said=each.cause, remedy=f"{each.remedy}{command}")
            )


def _together(found: Sequence[Finding]) -> tuple[str, str]:
    return " ".join(each.cause for each in found), " ".join(each.remedy for each in found)


def _named(row: dict[str, Any]) -> str:
    shown = row.get("display_phone_number") or row.get("verified_name")
    return f"{row['id']}, {shown}" if shown else str(row["id"])
