"""Define every metric: its name, its meaning, and where its value comes from.

Counters and histograms cover one process; the gauges of deliveries and endpoints cover the whole installation (each
process shows them). Label values come from small fixed sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

from msgspec import Struct

from tellwire import __version__
from tellwire.model import quotas
from tellwire.model.agents import RunOutcome
from tellwire.model.deliveries import DeliveryState, Endpoint, EndpointState
from tellwire.model.inbound import Outcome
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.observability.counters import Counters, Histogram
from tellwire.stores.queries import retention, status_figures
from tellwire.verdict.rules import KINDS, Line
from tellwire.web.bounds import CLOSE_REASONS
from tellwire.web.operations.figures import Figures
from tellwire.web.services import Engine, SendingState

_STATUSES = (200, 400, 401, 408, 413, 500, 503)
_ENDPOINT_STATES = get_args(EndpointState)
_WAITING = (Outcome.HELD, Outcome.UNROUTED)
_SHOWN = (
    DeliveryState.PENDING,
    DeliveryState.DELIVERING,
    DeliveryState.RETRYING,
    DeliveryState.PARKED,
    DeliveryState.FAILED,
)

_TRIES = (
    "accepted",
    "failed",
    "unknown",
    "abandoned",
    "retry",
    "throttled",
    "pair",
    "paused",
    "not_sent",
    "withheld",
)
_UNSENT = ("scheduled", "queued", "sending")

Values = Iterable[tuple[Sequence[str], float]]


class MetricSources(Struct, frozen=True, kw_only=True):
    """The sources that metrics are read from.

    `endpoints`, `accounts`: those that the asking person may see. `failing`: why the store does not take commits, "" if
    it does. `posts_waiting`: POSTs from Meta that wait for their commit. `lines`: the verdict, as that person sees it.
    """

    counters: Counters
    figures: Figures
    endpoints: Sequence[Endpoint]
    accounts: Sequence[Account]
    failing: str
    engine: Engine | None
    sending_worker: SendingState | None
    posts_waiting: int
    lines: Sequence[Line]


class Metric(Struct, frozen=True, kw_only=True):
    """A metric; `read` returns labels and values, or a `Histogram`.

    `for_all`: it holds nothing of another organization than that of the asking person, whose key need not be an
    operator's.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    read: Callable[[MetricSources], Values | Histogram]
    labels: tuple[str, ...] = ()
    for_all: bool = False


def _one(value: float) -> Values:
    return [((), value)]


def _by(words: Iterable[str], counts: Mapping[str, float]) -> Values:
    return [((word,), counts.get(word, 0)) for word in words]


def _endpoints(now: MetricSources) -> Values:
    states: list[str] = [endpoint.state for endpoint in now.endpoints]
    return [((word,), states.count(word)) for word in _ENDPOINT_STATES]


def _oldest_due(now: MetricSources) -> Values:
    oldest = dict.fromkeys(_ENDPOINT_STATES, now.figures.at)
    for endpoint in now.endpoints:
        for since in (now.figures.oldest, now.figures.parked):
            oldest[endpoint.state] = min(oldest[endpoint.state], since.get(endpoint.id, now.figures.at))
    oldest["active"] = min(oldest["active"], now.figures.late or now.figures.at)
    return [((state,), max(0, now.figures.at - at) / MICROS) for state, at in oldest.items()]


def _send_due(now: MetricSources) -> Values:
    at, due = now.figures.at, now.figures.send_due
    return _one(max(0, at - due) / MICROS if due else 0)


def _paused(now: MetricSources) -> Values:
    return _one(sum(bool(account.sending_paused) for account in now.accounts))


def _attempts(now: MetricSources) -> Values:
    return [(key, value) for key, value in sorted(now.counters.attempts.items())]


METRICS = (
    Metric(
        name="tellwire_info",
        kind="gauge",
        help="What runs.",
        labels=("version",),
        read=lambda _: [((__version__,), 1)],
        for_all=True,
    ),
    Metric(
        name="tellwire_trouble",
        kind="gauge",
        help="Lines of the verdict: how many things of each kind do not work just now, as this process sees it.",
        labels=("kind",),
        read=lambda now: _by(KINDS, Counter(line.kind for line in now.lines)),
        for_all=True,
    ),
    Metric(
        name="tellwire_alerts_total",
        kind="counter",
        help="Messages with alerts by channel and whether it took them (`sent`) or not (`failed`), tests included.",
        labels=("channel", "outcome"),
        read=lambda now: [((*key,), count) for key, count in sorted(now.counters.alerts.items())],
    ),
    # --- HTTP
    Metric(
        name="tellwire_http_connections",
        kind="gauge",
        help="Connections to this process that are open.",
        read=lambda now: _one(now.counters.http_connections),
    ),
    Metric(
        name="tellwire_http_closed_total",
        kind="counter",
        help="Connections that were refused or closed because of what their client did or did not do, by reason; "
        "`made_room`: a new one took the place of the one that had waited for its client for longest.",
        labels=("reason",),
        read=lambda now: _by(CLOSE_REASONS, now.counters.http_closed),
    ),
    # --- in
    Metric(
        name="tellwire_inbound_posts_total",
        kind="counter",
        help="POSTs from Meta by the status that they were answered with.",
        labels=("status",),
        read=lambda now: [((str(status),), now.counters.posts[status]) for status in _STATUSES],
    ),
    Metric(
        name="tellwire_inbound_items_total",
        kind="counter",
        help="Items of POSTs from Meta by outcome.",
        labels=("outcome",),
        read=lambda now: _by([each.value for each in Outcome], now.counters.items),
    ),
    Metric(
        name="tellwire_inbound_waiting",
        kind="gauge",
        help="POSTs from Meta that are being read or wait for their commit.",
        read=lambda now: _one(now.posts_waiting),
    ),
    Metric(
        name="tellwire_held_items",
        kind="gauge",
        help="Items that wait: `held` for a message, `unrouted` for an account.",
        labels=("outcome",),
        read=lambda now: _by([each.value for each in _WAITING], now.figures.held),
    ),
    # --- the API
    Metric(
        name="tellwire_request_failures_total",
        kind="counter",
        help="Requests that failed because of a defect of Tellwire's; the log has each as `request_failed`.",
        read=lambda now: _one(now.counters.request_failures),
    ),
    Metric(
        name="tellwire_wrong_keys_total",
        kind="counter",
        help="Wrong API keys by the answer: `refused` (401), or `throttled` (429) as their peer sent too many.",
        labels=("answer",),
        read=lambda now: _by(("refused", "throttled"), now.counters.wrong_keys),
    ),
    Metric(
        name="tellwire_quota_refusals_total",
        kind="counter",
        help="What was refused because an organization has all that a quota allows, by quota: `QUOTA_…` without the "
        "beginning, in lower case.",
        labels=("quota",),
        read=lambda now: _by(quotas.NAMES, now.counters.quota_refusals),
    ),
    # --- the store
    Metric(
        name="tellwire_store_failing",
        kind="gauge",
        help="1 while the database does not take commits.",
        read=lambda now: _one(1 if now.failing else 0),
    ),
    Metric(name="tellwire_commits_total", kind="counter", help="Commits.", read=lambda now: _one(now.counters.commits)),
    Metric(
        name="tellwire_commit_jobs",
        kind="histogram",
        help="POSTs, batches of results and changes that shared a commit.",
        read=lambda now: now.counters.commit_jobs,
    ),
    Metric(
        name="tellwire_commit_seconds",
        kind="histogram",
        help="How long commits took, decisions and the disk included.",
        read=lambda now: now.counters.commit_seconds,
    ),
    # --- out
    Metric(
        name="tellwire_deliveries",
        kind="gauge",
        help=f"Deliveries by state; counting stops at {status_figures.MOST}.",
        labels=("state",),
        read=lambda now: _by([each.value for each in _SHOWN], now.figures.undelivered),
    ),
    Metric(
        name="tellwire_endpoints",
        kind="gauge",
        help="Webhook endpoints by state.",
        labels=("state",),
        read=_endpoints,
        for_all=True,
    ),
    Metric(
        name="tellwire_oldest_due_seconds",
        kind="gauge",
        help="How long the oldest delivery has waited, by the state of its endpoint; parked ones for those that are "
        "not active.",
        labels=("endpoint_state",),
        read=_oldest_due,
    ),
    Metric(
        name="tellwire_deliveries_in_flight",
        kind="gauge",
        help="Deliveries of this process that were sent and whose result is not committed.",
        read=lambda now: _one(now.engine.in_flight if now.engine else 0),
    ),
    Metric(
        name="tellwire_deliveries_in_memory",
        kind="gauge",
        help="Deliveries that this process holds in memory; the others wait on disk.",
        read=lambda now: _one(now.engine.held if now.engine else 0),
    ),
    Metric(
        name="tellwire_results_waiting",
        kind="gauge",
        help="Results of attempts that wait for their commit.",
        read=lambda now: _one(now.engine.unrecorded if now.engine else 0),
    ),
    Metric(
        name="tellwire_attempts_total",
        kind="counter",
        help="Attempts by what followed (`delivered`, `retried`, `exhausted`, `disabled`) and cause: a kind of failure "
        "(`refused`, `dns`, `tls`, `timeout`, `forbidden`, `broken`, `protocol`) or the answer's status class, with "
        "410, 429 and 503 by themselves.",
        labels=("outcome", "cause"),
        read=_attempts,
    ),
    Metric(
        name="tellwire_delivery_sent_seconds",
        kind="histogram",
        help="From the recording of an event to the first byte of a delivery's first attempt.",
        read=lambda now: now.counters.sent,
    ),
    Metric(
        name="tellwire_delivery_accepted_seconds",
        kind="histogram",
        help="From the recording of an event to the receiver's 2xx, whatever the number of attempts; without replays.",
        read=lambda now: now.counters.accepted,
    ),
    Metric(
        name="tellwire_lease_moves_total",
        kind="counter",
        help="How many times a partition came to this process or went from it.",
        read=lambda now: _one(now.engine.lease_moves if now.engine else 0),
    ),
    Metric(
        name="tellwire_partitions",
        kind="gauge",
        help="Partitions that this process owns.",
        read=lambda now: _one(len(now.engine.partitions) if now.engine else 0),
    ),
    Metric(
        name="tellwire_results_refused_total",
        kind="counter",
        help="Results that were dropped because another process held the lease by then; its attempt counts.",
        read=lambda now: _one(now.engine.refused if now.engine else 0),
    ),
    # --- agents
    Metric(
        name="tellwire_agent_runs_total",
        kind="counter",
        help="Turns for which an AI agent's model was asked, by what came of it.",
        labels=("outcome",),
        read=lambda now: _by([each for each in get_args(RunOutcome) if each != "declined"], now.counters.agent_runs),
    ),
    # --- messages to Meta
    Metric(
        name="tellwire_sends_total",
        kind="counter",
        help="Tries to send a message to Meta by what they came to: `accepted`; `failed` for good; `unknown`, Meta may "
        "have it (`abandoned`: because a process ended); `retry`, `throttled` and `pair`, Meta wants it later; "
        "`paused`, the account is; `not_sent`, Meta was not reached; `withheld`, another process sends by now.",
        labels=("outcome",),
        read=lambda now: _by(_TRIES, now.counters.sends),
    ),
    Metric(
        name="tellwire_sends_in_flight",
        kind="gauge",
        help="Messages that this process claimed and whose result is not committed.",
        read=lambda now: _one(now.sending_worker.in_flight if now.sending_worker else 0),
    ),
    Metric(
        name="tellwire_send_results_waiting",
        kind="gauge",
        help="Answers of Meta that wait for their commit.",
        read=lambda now: _one(now.sending_worker.unrecorded if now.sending_worker else 0),
    ),
    Metric(
        name="tellwire_messages_unsent",
        kind="gauge",
        help=f"Messages that are still to be sent, by state; counting stops at {status_figures.MOST}.",
        labels=("state",),
        read=lambda now: _by(_UNSENT, now.figures.unsent),
    ),
    Metric(
        name="tellwire_oldest_send_due_seconds",
        kind="gauge",
        help="How long the oldest message that is due has waited to be sent; of paused accounts too.",
        read=_send_due,
    ),
    Metric(
        name="tellwire_accounts_paused",
        kind="gauge",
        help="Accounts for which nothing is sent until somebody resumes it.",
        read=_paused,
        for_all=True,
    ),
    # --- media
    Metric(
        name="tellwire_media_downloads_total",
        kind="counter",
        help="Tries to fetch a file of a message from Meta, by what came of them.",
        labels=("outcome",),
        read=lambda now: _by(("stored", "retried", "failed", "expired"), now.counters.downloads),
    ),
    # --- retention
    Metric(
        name="tellwire_retention_removed_total",
        kind="counter",
        help="Rows that retention took away, by table.",
        labels=("table",),
        read=lambda now: _by(retention.TABLES, now.counters.removed),
    ),
    Metric(
        name="tellwire_retention_rounds_total",
        kind="counter",
        help="Rounds of retention that went through everything.",
        read=lambda now: _one(now.counters.rounds),
    ),
    Metric(
        name="tellwire_retention_until_timestamp_seconds",
        kind="gauge",
        help="Nothing from before this time is left that may go, as of the last round; 0 before the first.",
        read=lambda now: _one(now.counters.removed_until / MICROS),
    ),
    Metric(
        name="tellwire_retention_stride_seconds",
        kind="histogram",
        help="How long strides of retention kept the store's writer.",
        read=lambda now: now.counters.retention_batches,
    ),
)
