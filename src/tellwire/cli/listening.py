"""Pull the deliveries of one endpoint and send each on, in order and once, over whatever connection there is.

The server keeps what waits until it is answered. So nothing is lost when a connection breaks: what was sent on already
is remembered here until the server has taken its answer, and is not sent on again when it is handed out again.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tellwire.cli import printing
from tellwire.cli.client import Client, NoServer, Rejected, rejected, v1
from tellwire.cli.forwarding import NOBODY_THERE, Forwarded, Forwarder
from tellwire.errors import TellwireError

_NOUN = "webhook-endpoints"
_WAIT = 20
"""Seconds that the server holds a pull while nothing waits."""
_PATIENCE = 10.0
"""Seconds beyond that after which a connection counts as broken."""
_ANSWER_SECONDS = 0.5
"""How long the server waits for an answer while more is sent on."""
_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
_REFUSED_PAUSE = 1.0

Row = Mapping[str, Any]
Show = Callable[[Row, Forwarded], None]


class NobodyListens(TellwireError):  # noqa: N818 - what is there, or is not
    """No program listens where deliveries are to be sent on to."""


class Listener:
    """Sends on what waits for one endpoint.

    Args:
        client, endpoint_id: the server, and the endpoint on it.
        forwarder: where deliveries go.
        show: called after each.
    """

    def __init__(self, client: Client, endpoint_id: str, forwarder: Forwarder, show: Show) -> None:
        self._client = client
        self._endpoint_id = endpoint_id
        self._forwarder = forwarder
        self._show = show
        self._unanswered: dict[str, dict[str, Any]] = {}  # by `_name`, what the server has not taken yet
        self._answered_at = time.monotonic()
        self._failures = 0

    def run(self, *, once: bool) -> None:
        """Send on what comes, for ever; with `once` what waits now.

        Raises:
            Rejected: the key or the endpoint is gone, or somebody else has taken over.
            NobodyListens: with `once`, nothing listens where it is to be sent on to.
        """
        while True:
            try:
                self._answer()
                rows = self._pull(0 if once else _WAIT)
            except NoServer as error:
                self._pause(str(error))
                continue
            except Rejected as error:
                if error.status < 500 and error.status != 429:
                    raise
                self._pause(str(error))
                continue
            if self._failures > 1:
                _say("connected again")
            self._failures = 0
            for row in rows:
                self._handle(row, once=once)
            if once and not rows:
                return

    def finish(self) -> None:
        """Answer what was sent on, if the server can be reached now."""
        try:
            self._answer()
        except (NoServer, Rejected):
            _say(f"{len(self._unanswered)} answers did not reach the server: these events will come once more")

    def _handle(self, row: Row, *, once: bool) -> None:
        name = _name(row)
        if name in self._unanswered:
            return
        forwarded = self._sent(row, once=once)
        self._unanswered[name] = _answer_of(row, forwarded)
        self._show(row, forwarded)
        if time.monotonic() - self._answered_at > _ANSWER_SECONDS:
            try:
                self._answer()
            except (NoServer, Rejected):
                self._answered_at = time.monotonic()  # the next pull says what is wrong

    def _sent(self, row: Row, *, once: bool) -> Forwarded:
        """Send a delivery on, as often as it takes until somebody listens."""
        body = base64.b64decode(row["body_base64"]) if row["body"] is None else row["body"].encode()
        told = False
        while True:
            forwarded = self._forwarder.send(row["event"], row["headers"], body)
            if forwarded.failure not in NOBODY_THERE:
                return forwarded
            where = f"{forwarded.url}: {forwarded.cause}"
            if once:
                raise NobodyListens(f"{where}; start what is to get the events. They wait")
            if not told:
                _say(f"{where}; events wait here and go out in order once something listens there")
                told = True
                self._quietly_answer()
            time.sleep(_REFUSED_PAUSE)

    def _quietly_answer(self) -> None:
        try:
            self._answer()
        except (NoServer, Rejected):
            return

    def _pull(self, wait: int) -> list[dict[str, Any]]:
        found = self._call("GET", "pull", query={"wait": str(wait)}, timeout=wait + _PATIENCE)
        rows: list[dict[str, Any]] = found["data"]
        return rows

    def _answer(self) -> None:
        """Tell the server what was answered; each stays here until it has taken it."""
        self._answered_at = time.monotonic()
        while self._unanswered:
            some = dict(list(self._unanswered.items())[:_TOGETHER])
            try:
                self._call("POST", "pull", "answers", body={"answers": list(some.values())})
            except Rejected as error:
                if error.status != 422:
                    raise
                self._answer_one_by_one(some)
            for name in some:
                del self._unanswered[name]

    def _answer_one_by_one(self, some: Mapping[str, dict[str, Any]]) -> None:
        """Answer what can be answered: one that is no longer there must not keep back the others."""
        for each in some.values():
            try:
                self._call("POST", "pull", "answers", body={"answers": [each]})
            except Rejected as error:
                if error.status != 422:
                    raise
                _say(f"the answer to {each['delivery_id']} was not taken: {error}")

    def _call(
        self,
        method: str,
        *path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        timeout: float = 15.0,
    ) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        target = v1(_NOUN, self._endpoint_id, *path)
        status, answer = self._client.exchange(method, target, query=query, body=content, timeout=timeout)
        try:
            document = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            if status == 200:
                raise NoServer(f"the answer of the server at {self._client.url} broke off") from None
            document = None
        if status != 200:
            raise rejected(status, document)
        return document

    def _pause(self, why: str) -> None:
        """Wait before the next try; the first is made at once and in silence, because connections are cut all the
        time."""
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        if self._failures == 2:
            _say(f"{why}; trying again until it is there, nothing is lost")
        time.sleep(pause)


_TOGETHER = 20
_LONGEST_CAUSE, _LONGEST_URL = 256, 2048
"""What the server takes: an answer that it refused would be asked for again, for ever."""


def _name(row: Row) -> str:
    """Return what stays the same however often a delivery is handed out for one attempt."""
    attempt, replay, _ = row["receipt"].split(".")
    return f"{row['delivery_id']} {attempt}.{replay}"


def _answer_of(row: Row, forwarded: Forwarded) -> dict[str, Any]:
    return {
        "delivery_id": row["delivery_id"],
        "receipt": row["receipt"],
        "status": forwarded.status,
        "milliseconds": forwarded.milliseconds,
        "failure": forwarded.failure,
        "cause": forwarded.cause[:_LONGEST_CAUSE],
        "url": forwarded.url[:_LONGEST_URL],
        "response_body": forwarded.body.decode("utf-8", "replace").replace("\0", "\ufffd"),
    }


def _say(what: str) -> None:
    printing.err(f"tellwire: {what}\n")
    sys.stderr.flush()
