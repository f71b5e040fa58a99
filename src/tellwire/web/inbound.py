"""Serve Meta's webhook, as bare ASGI: the hot path (docs/reference/rest-api.md, "Endpoint for Meta").

GET is the handshake. POST is verified over its raw bytes, hashed while they stream in, and answered 200 once durable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from urllib.parse import parse_qsl

from msgspec import Struct

from tellwire.errors import Busy, Problem
from tellwire.meta.webhooks import signature
from tellwire.meta.webhooks.signature import Signatures
from tellwire.model.inbound import EVERYTHING, SpeaksFor, together
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.web.edge import Receive, Scope, Send, request_id_of, send_problem, send_text
from tellwire.web.held_bodies import HeldBody
from tellwire.web.operations.figures import Meters
from tellwire.web.post_intake import EMPTY, OK, BodyLimits, ClientGoneError, Headers, PostIntake, announced
from tellwire.web.problems import problem_of
from tellwire.web.services import Services

_TOKENS = re.compile(rb"[0-9A-Za-z_.-]+")
_FEW = 16
_NEAR = 32 * 1024
"""So many bytes from either end of a body an account's ids are looked for: Meta names the account first, and whatever
the order of its keys, what stands far inside is content."""
_HASHED = 8 * 1024 * 1024
"""How many bytes are hashed under accounts' own secrets for one POST, whose signature may be anybody's."""
_LEAST_HASHED = 8 * 1024
"""What one secret counts at least: so much could be hashed in the time that it takes by itself."""


class Signer(Struct, frozen=True):
    """Who holds a secret: what it speaks for, and the organization of its accounts, "" for the installation."""

    speaks_for: SpeaksFor
    organization_id: str = ""


class AccountSecrets:
    """The app secrets of single accounts, by the ids by which a body may name those accounts."""

    def __init__(self) -> None:
        self._of: Registry | None = None
        self._by_id: dict[bytes, list[Account]] = {}
        self.any = False

    def update(self, registry: Registry) -> None:
        """Read the accounts again if the registry has changed."""
        if registry is self._of:
            return
        self._of = registry
        self._by_id = {}
        for account in registry.accounts.values():
            if account.app_secret:
                for name in {account.phone_number_id, account.waba_id} - {""}:
                    self._by_id.setdefault(name.encode(), []).append(account)
        self.any = bool(self._by_id)

    def named_in(self, body: bytes) -> list[tuple[str, Signer]]:
        """Return the secrets to try, each with its accounts' ids: those of accounts whose phone_number_id or WABA id
        stands near the beginning or the end of a body, in this order; for a large body only the first few."""
        near = body if len(body) <= 2 * _NEAR else b"%b %b" % (body[:_NEAR], body[-_NEAR:])
        if len(self._by_id) <= _FEW:
            found: Iterable[bytes] = sorted((name for name in self._by_id if name in near), key=near.find)
        else:
            found = [name for name in dict.fromkeys(_TOKENS.findall(near)) if name in self._by_id]
        owners: dict[str, dict[str, Account]] = {}
        for name in found:
            for account in self._by_id[name]:
                owners.setdefault(account.app_secret, {})[account.id] = account
        most = max(2, _HASHED // max(len(body), _LEAST_HASHED))
        return [(secret, _signer(accounts)) for secret, accounts in islice(owners.items(), most)]


class InboundRoute:
    """The ASGI app at `/meta/webhook`."""

    def __init__(self, services: Services, meters: Meters, limits: BodyLimits | None = None) -> None:
        self._services = services
        self._meters = meters
        self._limits = limits or BodyLimits()
        self._intake = PostIntake(self._limits, meters.waits)
        self._accounts = AccountSecrets()
        self._secrets: list[tuple[str, Signer]] = [
            (secret.value, Signer(SpeaksFor(meta_ids=(secret.bound_to,)) if secret.bound_to else EVERYTHING))
            for secret in services.settings.meta_app_secret
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["method"]:
            case "POST":
                await self._post(scope, receive, send)
            case "GET":
                await self._handshake(scope, send)
            case _:
                wrong = problem_of(405, "method-not-allowed", "This path takes GET and POST.")
                await send_problem(send, wrong, request_id_of(scope), (b"allow", b"GET, POST"))

    async def _handshake(self, scope: Scope, send: Send) -> None:
        query = dict(
            parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
        )
        echo = signature.challenge(query, self._services.settings.meta_verify_token)
        if query.get("hub.mode") == "subscribe" and "hub.verify_token" in query:
            self._meters.observed.handshake(taken=echo is not None, now=self._services.clock.now())
        if echo is None:
            words = "The verify token does not match META_VERIFY_TOKEN."
            if not self._services.settings.meta_verify_token:
                words = "No META_VERIFY_TOKEN is set."
            await send_problem(send, problem_of(403, "forbidden", words), request_id_of(scope))
            return
        await send_text(send, 200, echo.encode("utf-8", "surrogateescape"))

    async def accept_complete(self, headers: Headers, body: bytes) -> Problem | None:
        """Accept a POST whose body is complete. Return None once it is durable, else the problem."""
        if len(body) <= self._limits.small:
            refusal = await self._complete(headers, body)
        else:
            held = self._intake.bodies.begin()
            try:
                held.add(len(body), more=False)
                refusal = await self._complete(headers, body)
            except Busy as busy:
                refusal = busy
            finally:
                held.release()
        self._meters.post_answered(refusal.status if refusal else 200)
        return refusal

    async def _complete(self, headers: Headers, body: bytes) -> Problem | None:
        given = self._admitted(headers)
        if isinstance(given, Problem):
            return given
        if len(body) > self._limits.largest:
            return self._intake.too_big()
        signatures = Signatures(self._secrets)
        signatures.update(body)
        return await self._verified(body, signatures, given)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = self._intake.bodies.begin()
        try:
            refusal = await self._taken(scope["headers"], receive, held)
        except ClientGoneError:
            return
        finally:
            held.release()
        if refusal is None:
            self._meters.post_answered(200)
            await send(OK)
            await send(EMPTY)
        else:
            self._meters.post_answered(refusal.status)
            await send_problem(send, refusal, request_id_of(scope))

    async def _taken(self, headers: Headers, receive: Receive, held: HeldBody) -> Problem | None:
        """Read, verify and apply a POST. Return None once it is durable, else the problem."""
        given = self._admitted(headers)
        if isinstance(given, Problem):
            return given
        signatures = Signatures(self._secrets)
        body = await self._intake.read(receive, held, signatures.update)
        if isinstance(body, Problem):
            return body
        return await self._verified(body, signatures, given)

    def _admitted(self, headers: Headers) -> bytes | Problem:
        """Return the signature header of a POST, or the problem that makes its body not worth reading."""
        self._accounts.update(self._services.store.registry())
        given = [value for name, value in headers if name == b"x-hub-signature-256"]
        if not self._secrets and not self._accounts.any:
            self._meters.observed.refused_without_secret(given, self._services.clock.now())
            return Busy("No app secret is known: set META_APP_SECRET, or give an account its app_secret.")
        if len(given) != 1:
            return _unsigned("X-Hub-Signature-256 is missing." if not given else "X-Hub-Signature-256 is there twice.")
        if announced(headers) > self._limits.largest:
            return self._intake.too_big()
        return given[0]

    async def _verified(self, body: bytes, signatures: Signatures[Signer], given: bytes) -> Problem | None:
        """Apply a POST that is signed rightly. Return None once it is durable, else the problem."""
        signer = self._signer_of(body, signatures, given)
        if isinstance(signer, Problem):
            return signer
        tracer, clock = self._services.tracer, self._services.clock
        started_at = clock.now() if tracer else 0
        work = partial(self._services.ingest.receive, body, signer.speaks_for, whose=signer.organization_id)
        inbound = await self._intake.durable(work, "Meta")
        if isinstance(inbound, Problem):
            return inbound
        if tracer:
            tracer.posted(inbound, started_at=started_at, durable_at=clock.now())
        self._meters.post_applied(inbound)
        return None

    def _signer_of(self, body: bytes, signatures: Signatures[Signer], given: bytes) -> Signer | Problem:
        """Return whose secrets signed a body, as one signer, or the problem with its signature."""
        owners = signatures.matches(given)
        if self._accounts.any:
            owners += signature.matching(self._accounts.named_in(body), body, given)
        if not owners:
            self._meters.observed.refused_signature(given, body, self._services.clock.now())
            return _unsigned("X-Hub-Signature-256 is not the HMAC-SHA256 of this body under any app secret known here.")
        whose = {owner.organization_id for owner in owners}
        speaks_for = together([owner.speaks_for for owner in owners])
        return Signer(speaks_for, whose.pop() if len(whose) == 1 else "")


def _signer(accounts: Mapping[str, Account]) -> Signer:
    """Return who holds a secret that these accounts have, by id; the first one's organization has the turn."""
    first = next(iter(accounts.values()))
    return Signer(SpeaksFor(account_ids=tuple(accounts)), first.organization_id)


def _unsigned(words: str) -> Problem:
    return problem_of(401, "bad-signature", words)
