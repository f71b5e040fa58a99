"""PURE. The verdict: figures become lines, each with a cause and a remedy; no line means that all works.

Source: docs/how-to/operate.md, "The verdict".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tellwire.accounts import facts
from tellwire.model.deliveries import Endpoint
from tellwire.model.tenancy import Account
from tellwire.model.units import HOUR, MICROS, Micros, micros
from tellwire.verdict.figures import MOST_WAITING, Disk, Figures
from tellwire.verdict.traffic import silence

LATELY: Micros = HOUR
"""So long a refused POST counts, unless a good one of the same number comes first: Meta repeats with growing gaps."""
LATE: Micros = micros(120)
"""A delivery that has waited longer makes its endpoint one that fell behind."""
CLOCK_SECONDS = 60.0
"""Our clock may differ from Meta's by so much: codes expire and windows close by the minute."""
SETTLING: Micros = HOUR
"""So long after a start no number is called silent: what Meta could not deliver meanwhile comes first."""
_GIB = 1024**3
_LEAST_FREE, _LEAST_SHARE, _ENOUGH_FREE = _GIB, 0.05, 20 * _GIB
_FULL = _GIB // 4
_REFUSED_SECONDS = 300.0
"""Receivers refuse a signature whose time differs from theirs by more (Standard Webhooks)."""
_LONG: Micros = HOUR

Severity = Literal["warning", "critical"]
"""How grave a line is. `critical`: messages do not come or do not go, or soon will not."""


class Kind(Struct, frozen=True):
    """A kind of trouble: a sentence without any name, for everybody, what to do about it, and how grave it usually
    is."""

    title: str
    remedy: str
    severity: Severity = "warning"


KINDS = {
    "store_failing": Kind(
        "The database does not take commits.",
        "Free or unlock its disk, or bring the database back; a write is tried every second, so no restart is needed.",
        "critical",
    ),
    "disk_nearly_full": Kind(
        "A disk is nearly full.",
        "Free space, or move to a larger disk (DATABASE_URL, MEDIA_URL); RETENTION_DAYS says how long things are kept. "
        "When it is full, Meta's POSTs are answered 503.",
    ),
    "clock_off": Kind(
        "The clock of this machine is wrong.",
        "Set the clock and keep it right (NTP): customer service windows, retries and signatures go by it.",
    ),
    "app_secret_missing": Kind(
        "POSTs of Meta's are answered 503, because no app secret is set.",
        "Set TELLWIRE_META_APP_SECRET to the App Secret that Meta's dashboard shows under App settings, Basic, and "
        "start again; or give the account its own app_secret.",
        "critical",
    ),
    "app_secret_wrong": Kind(
        "POSTs that look like Meta's are answered 401.",
        "Compare TELLWIRE_META_APP_SECRET, or the account's app_secret, with the App Secret that Meta's dashboard "
        "shows under App settings, Basic. If no app of yours posts here, a stranger does: then nothing is lost.",
        "critical",
    ),
    "verify_token_wrong": Kind(
        "A handshake of Meta's was answered 403.",
        "Give Meta's dashboard the verify token that TELLWIRE_META_VERIFY_TOKEN holds.",
    ),
    "number_unknown": Kind(
        "Messages wait for a number that has no account.",
        "Create the account (POST /v1/accounts, or `tellwire accounts create`): what waits is applied then. "
        "GET /v1/inbound?outcome=unrouted lists it.",
    ),
    "secret_of_another": Kind(
        "Messages wait because the secret that signed them does not speak for their number.",
        "Bind the secret to the number's WABA in TELLWIRE_META_APP_SECRET, or give the account its app_secret; then "
        "POST /v1/inbound/{id}/reapply. GET /v1/inbound?outcome=unrouted lists them.",
        "critical",
    ),
    "number_silent": Kind(
        "A number that used to get messages gets none.",
        "Look in Meta's dashboard whether the app is still subscribed to the WABA and its callback URL still leads "
        "here, and whether another app has taken the number over.",
    ),
    "account_paused": Kind(
        "Nothing is sent for an account.",
        "Mend what its cause says, then POST /v1/accounts/{id}/resume-sending; a new access_token does it too.",
        "critical",
    ),
    "account_problem": Kind(
        "Meta reports a problem of an account.",
        "GET /v1/accounts/{id} shows what Meta said; WhatsApp Manager says what to do. The line goes when Meta says "
        "that it is over; a new access_token ends that of a refused one.",
        "critical",
    ),
    "endpoint_failing": Kind(
        "A webhook endpoint takes no deliveries.",
        "Mend the receiver: GET /v1/deliveries?endpoint_id=… shows what it answers. Deliveries are tried again by "
        "themselves.",
    ),
    "endpoint_behind": Kind(
        "Deliveries to a webhook endpoint fell behind.",
        "Make the receiver answer sooner, or raise its max_in_flight.",
    ),
    "endpoint_disabled": Kind(
        "A webhook endpoint is disabled.",
        "Mend the receiver, then POST /v1/webhook-endpoints/{id}/resume: what is parked goes out. Or delete it.",
        "critical",
    ),
    "alerts_failing": Kind(
        "Alerts cannot be told.",
        "Mend what its cause says, then try with `tellwire alerts test`. What is not told is kept, and told when the "
        "channel takes it.",
    ),
}
"""Every kind of line, the gravest first."""


class Line(Struct, frozen=True, kw_only=True):
    """A line of the verdict. `cause` and `hurts` may name things, and are for who may see them.

    `since`: when it began, as far as is known, else 0. `hurts`: whom or what it hurts; `count` how many are known of,
    0 when that is not counted. `organization_id`: whose trouble it is, "" for the installation's. `phone_number_id`,
    `endpoint_id`: what it is about, "" for neither. `own_severity`: how grave it is, where that is not its kind's.
    """

    kind: str
    cause: str
    hurts: str = ""
    since: Micros = 0
    count: int = 0
    organization_id: str = ""
    phone_number_id: str = ""
    endpoint_id: str = ""
    own_severity: Severity | None = None

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return self.own_severity or KINDS[self.kind].severity

    @property
    def title(self) -> str:
        """The sentence for everybody."""
        return KINDS[self.kind].title

    @property
    def remedy(self) -> str:
        """What to do."""
        return KINDS[self.kind].remedy

    @property
    def about(self) -> tuple[str, str, str]:
        """What makes two lines the same, whatever their figures are by now."""
        return self.kind, self.phone_number_id, self.endpoint_id


def verdict(now: Figures) -> list[Line]:
    """Return what does not work, the gravest first; nothing when all does."""
    found = [*_installation(now), *_refusals(now), *_unrouted(now), *_accounts(now), *_endpoints(now), *_alerts(now)]
    order = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(found, key=lambda line: order[line.kind])


def _installation(now: Figures) -> Iterator[Line]:
    if now.failing:
        yield Line(
            kind="store_failing",
            cause="; ".join(now.failing) + ".",
            hurts="Everything: Meta's POSTs are answered 503, and Meta repeats them.",
        )
    for disk in now.disks:
        if nearly_full(disk):
            free = f"{disk.free / _GIB:.1f} of {disk.total / _GIB:.1f} GiB are free"
            yield Line(
                kind="disk_nearly_full",
                cause=f"For {disk.holds} ({disk.place}): {free}.",
                hurts="Nothing yet; everything, once it is full.",
                own_severity="critical" if disk.free < _FULL else None,
            )
    if now.clock is not None and abs(now.clock.seconds) > CLOCK_SECONDS:
        way = "ahead of" if now.clock.seconds > 0 else "behind"
        yield Line(
            kind="clock_off",
            cause=f"It is {_age(abs(now.clock.seconds))} {way} {now.clock.source}.",
            hurts="Customer service windows, signatures and retries.",
            own_severity="critical" if abs(now.clock.seconds) > _REFUSED_SECONDS else None,
        )


def nearly_full(disk: Disk) -> bool:
    """Return whether a disk is nearly full: less than 1 GiB is free, or less than a twentieth unless that is a lot."""
    return disk.free < _LEAST_FREE or (disk.free < _LEAST_SHARE * disk.total and disk.free < _ENOUGH_FREE)


def _refusals(now: Figures) -> Iterator[Line]:
    refused = now.refusals
    if _lately(now, refused.without_secret):
        yield Line(
            kind="app_secret_missing",
            cause=f"The last came {_ago(now, refused.without_secret)}.",
            hurts="Every message that Meta delivers.",
        )
    if _lately(now, refused.handshake):
        yield Line(
            kind="verify_token_wrong",
            cause=f"It brought another verify token than is set here, {_ago(now, refused.handshake)}.",
            hurts="Nothing that comes already; the callback URL cannot be saved at Meta.",
        )
    strange: list[Micros] = []
    for name, at in refused.signatures.items():
        if not _lately(now, at):
            continue
        ours = _named(now.accounts, name)
        strange += [] if ours else [at]
        for account in ours:
            cause = (
                f"The last for {_number(account)} came {_ago(now, at)}: its signature is of no app secret known here."
            )
            yield _of_account("app_secret_wrong", account, cause, hurts=f"Every message to {_number(account)}.")
    if strange:
        cause = (
            f"The last came {_ago(now, max(strange))}, for no account here: its signature is of no app secret known."
        )
        yield Line(
            kind="app_secret_wrong",
            cause=cause,
            hurts="Every message of the app that signs so, if it is yours.",
            own_severity="warning",  # a stranger can cause it
        )


def _unrouted(now: Figures) -> Iterator[Line]:
    for each in now.stored.unrouted:
        kind = "secret_of_another" if _named(now.accounts, each.name) else "number_unknown"
        waiting = f"{_plural(each.count, 'item')} of the last 24 hours for the id {each.name}"
        yield Line(
            kind=kind,
            cause=f"{waiting}, the last {_ago(now, each.last_at)}.",
            hurts=_waits(each.count, "item", "for the account", most=0),
            since=each.first_at,
            count=each.count,
            phone_number_id=each.name,
        )


def _accounts(now: Figures) -> Iterator[Line]:
    for account in now.accounts:
        if account.sending_paused:
            count = now.stored.unsent.get(account.id, 0)
            yield _of_account(
                "account_paused",
                account,
                f"{_number(account)}: {account.sending_paused.rstrip('.')}.",
                hurts=_waits(count, "message", "to be sent"),
                count=count,
            )
        if account.about != "{}":
            for problem in facts.problems(facts.known(account.about), now.at // MICROS):
                hurts = f"What {_number(account)} sends or gets."
                yield _of_account("account_problem", account, f"{_number(account)}: {problem}", hurts=hurts)
        traffic = now.stored.traffic.get(account.id)
        if traffic is not None and now.at - now.up_since >= SETTLING:
            lasted = silence(traffic, now.at, now.heard.get(account.phone_number_id, 0))
            if lasted:
                usual = f"its longest silence of late was {_age(traffic.longest_gap / MICROS)}"
                cause = f"{_number(account)} got its last message {_age(lasted / MICROS)} ago; {usual}."
                hurts = f"Whoever writes to {_number(account)}."
                yield _of_account("number_silent", account, cause, hurts=hurts, since=now.at - lasted)


def _endpoints(now: Figures) -> Iterator[Line]:
    for endpoint in now.endpoints:
        if endpoint.state == "disabled":
            why = endpoint.disabled_reason or "it was given up"
            outage = now.stored.outages.get(endpoint.id)
            since = outage.since if outage else 0
            yield _of_endpoint(now, "endpoint_disabled", endpoint, f"{endpoint.id}: {why.rstrip('.')}.", since)
        elif endpoint.state == "active":
            if outage := now.stored.outages.get(endpoint.id):
                lasted = _age((now.at - outage.since) / MICROS)
                why = f": {outage.cause}" if outage.cause else ""
                cause = f"{endpoint.id} has failed for {lasted}{why}."
                graver = "critical" if now.at - outage.since >= _LONG else None
                yield replace(_of_endpoint(now, "endpoint_failing", endpoint, cause, outage.since), own_severity=graver)
            elif (waited := now.at - now.stored.oldest.get(endpoint.id, now.at)) > LATE:
                cause = f"{endpoint.id}: the oldest delivery has waited {_age(waited / MICROS)}."
                yield _of_endpoint(now, "endpoint_behind", endpoint, cause, now.at - waited)


def _alerts(now: Figures) -> Iterator[Line]:
    failing = now.stored.failing_channels
    if failing:
        said = (
            f"{each.channel} has failed for {_age((now.at - each.since) / MICROS)}: {each.cause}" for each in failing
        )
        yield Line(
            kind="alerts_failing",
            cause="; ".join(said) + ".",
            hurts="Whoever waits for alerts.",
            since=min(each.since for each in failing),
        )


def _of_account(kind: str, account: Account, cause: str, *, hurts: str, since: Micros = 0, count: int = 0) -> Line:
    return Line(
        kind=kind,
        cause=cause,
        hurts=hurts,
        since=since,
        count=count,
        organization_id=account.organization_id,
        phone_number_id=account.phone_number_id,
    )


def _of_endpoint(now: Figures, kind: str, endpoint: Endpoint, cause: str, since: Micros) -> Line:
    count = now.stored.waiting.get(endpoint.id, 0)
    return Line(
        kind=kind,
        cause=cause,
        hurts=_waits(count, "delivery", f"for {endpoint.description or 'it'}"),
        since=since,
        count=count,
        organization_id=endpoint.organization_id,
        endpoint_id=endpoint.id,
    )


def _waits(count: int, word: str, how: str, *, most: int = MOST_WAITING) -> str:
    """Return in words how many wait; `most`: where counting stops, 0 for nowhere."""
    if not count:
        return f"No {word} waits {how} just now."
    more = " or more" if most and count >= most else ""
    return f"{_plural(count, word)}{more} {'wait' if count > 1 else 'waits'} {how}."


def _number(account: Account) -> str:
    return f"{account.name} ({account.phone_number_id})" if account.name else account.phone_number_id


def _named(accounts: Sequence[Account], name: str) -> list[Account]:
    """Return the accounts that an id of Meta's names: the one of that number, or all of that WABA."""
    number = [account for account in accounts if account.phone_number_id == name]
    return number or [account for account in accounts if name and account.waba_id == name]


def _lately(now: Figures, at: Micros) -> bool:
    return at > 0 and now.at - at < LATELY


def _ago(now: Figures, at: Micros) -> str:
    return f"{_age((now.at - at) / MICROS)} ago"


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if whole >= size:
            return _plural(whole // size, word)
    return _plural(whole, "second")


def _plural(count: int, word: str) -> str:
    words = word if count == 1 else f"{word[:-1]}ies" if word == "delivery" else f"{word}s"
    return f"{count:,} {words}"


def without_names(lines: Sequence[Line]) -> list[Line]:
    """Return one line of each kind, as everybody may see it: its title, no cause and nobody's id."""
    return [Line(kind=kind, cause="") for kind in dict.fromkeys(line.kind for line in lines)]


def seen_by(lines: Sequence[Line], organization_id: str) -> list[Line]:
    """Return the lines that a key of an organization may see: its own, and that nothing can be written at all."""
    public = (replace(line, cause="", hurts="") for line in lines if line.kind == "store_failing")
    return [*public, *(line for line in lines if line.organization_id == organization_id)]
