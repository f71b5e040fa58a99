"""Every exception that Tellwire raises on purpose. The text of each says what happened and what can be done.

TellwireError
├── NotJson                 a body that no JSON parser would take
├── TooLarge                a body above its limit
├── Unavailable             the store cannot make it durable just now: try again
├── Broken                  what the other side sends ended before its end, or never began
├── Forbidden               an address that deliveries may not reach
├── ModelFailed             an AI agent's model gave no answer that could be sent
├── LoginProviderFailed     the login provider cannot be asked, or what it says is not to be believed
├── BadSettings             a setting that is unknown, malformed or missing
├── AlreadyRunning          another process owns this SQLite file
├── NotMigrated             a database without this version's schema
├── stores.backups.manifest.DamagedError   a file that is no whole backup
├── media.uploads.NotUploaded   a file that a message names could not be brought to Meta
├── cli.client.Rejected         an answer of the server to a command that is not 2xx
├── cli.client.NoServer         nothing answers at the URL of the server that a command talks to
├── cli.ids.Unclear              a part of an id that fits none, or several
├── cli.listening.NobodyListens no program listens where `tellwire listen` is to send events on to
└── Problem 500             an answer of the API: 4xx or 5xx with the field and the reason
    ├── BadRequest 400      ├── Unauthorized 401    ├── NotAllowed 403    ├── NotFound 404
    ├── QuotaExceeded 409   ├── Conflict 409        ├── TooBig 413          ├── WrongType 415
    ├── Invalid 422         ├── MetaRefused 422     ├── TooMany 429         ├── MetaUnreachable 502     ├── Busy 503
    └── web.graph.errors.GraphError 500     an error as Meta words it, whose status is its own

Those that never leave the module that raises them, or only stand for an answer that is not Tellwire's:

Exception
├── inbox.ingest.ItemFailed            one item of a POST could not be applied: the others are, without it
├── inbox.ingest.MetaWantedError       a POST has to be cut for endpoints of the format `meta`, and is decided anew
├── media.downloads.Mismatch           the bytes of a file are not those that Meta announced
├── web.post_intake.ClientGoneError    the client went away before its body was there
├── http_client.connection._Enough     what is wanted of an answer has been read
├── web.console.api_calls.ApiProblem    a call of the API that a page of the console made was refused
├── web.console.endpoint_form.Refused   a form of an endpoint has faults, which are shown beside its fields
├── cli.meta_connect._Failed            a step of `tellwire meta connect` cannot be done: those after it are not begun
├── web.console.sessions.LoginNeeded    nobody is logged in, and the page is for somebody who is
└── simulator.refusals.Refusal         what the simulated Meta answers to a request that it does not take
OSError
└── http_client.proxy.ProxyError       the egress proxy could not be reached, or made no tunnel
ValueError
└── web.chunked.NotChunked             a chunked body that is not one, or made to cost more than it brings
"""

from __future__ import annotations


class TellwireError(Exception):
    """The root of Tellwire's exceptions."""


class NotJson(TellwireError):
    """Raised for a body that is not JSON; the text says where it stops being so."""


class TooLarge(TellwireError):
    """The body is larger than its limit."""


class Unavailable(TellwireError):
    """The store cannot commit just now (disk full, read-only, stopping); nothing was applied: try again."""


class Broken(TellwireError):
    """A stream from the other side broke off, or never began; the text says how."""


class Forbidden(TellwireError):
    """Deliveries may not reach this address; the text names it and the rule."""


class ModelFailed(TellwireError):
    """A model gave no answer; the text says why, to those who run it. `retryable`: whether another try may succeed."""

    def __init__(self, why: str, *, retryable: bool = True) -> None:
        super().__init__(why)
        self.retryable = retryable


class LoginProviderFailed(TellwireError):
    """The login provider cannot be asked, or what it says of somebody is not to be believed; the text says why."""


class BadSettings(TellwireError):
    """A setting is unknown, malformed or missing; the text names it and what it takes."""


class AlreadyRunning(TellwireError):
    """Another process serves this SQLite file."""


class NotMigrated(TellwireError):
    """The database lacks this version's schema, or no migration leads there; the text says what to do."""


class Problem(TellwireError):
    """An RFC 9457 problem: `detail` in plain words, `fields` as (JSON pointer, message) pairs."""

    status = 500
    title = "Internal error"
    kind = "internal"

    def __init__(self, detail: str, *fields: tuple[str, str], kind: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields
        if kind is not None:
            self.kind = kind

    @property
    def is_defect(self) -> bool:
        """Whether it is a fault of ours, which is logged and counted."""
        return self.status >= 500


class BadRequest(Problem):
    status, title, kind = 400, "Bad request", "bad-request"


class Unauthorized(Problem):
    status, title, kind = 401, "Unauthorized", "unauthorized"


class NotAllowed(Problem):
    status, title, kind = 403, "Forbidden", "forbidden"


class NotFound(Problem):
    status, title, kind = 404, "Not found", "not-found"


class Conflict(Problem):
    status, title, kind = 409, "Conflict", "conflict"


class QuotaExceeded(Problem):
    """The organization has all that a quota allows (`model.quotas`); `quota` is its name."""

    status, title, kind = 409, "Quota exceeded", "quota-exceeded"

    def __init__(self, detail: str, *, quota: str) -> None:
        super().__init__(detail)
        self.quota = quota


class TooBig(Problem):
    status, title, kind = 413, "Content too large", "too-large"


class WrongType(Problem):
    status, title, kind = 415, "Unsupported media type", "unsupported-media-type"


class Invalid(Problem):
    status, title, kind = 422, "Unprocessable content", "invalid"


class TooMany(Problem):
    """The caller asks too often; `retry_after` says after how many seconds it may ask again."""

    status, title, kind = 429, "Too many requests", "too-many-requests"

    def __init__(self, detail: str, *, retry_after: int, kind: str | None = None) -> None:
        super().__init__(detail, kind=kind)
        self.retry_after = retry_after


class MetaRefused(Problem):
    """Meta refused the request; `detail` holds its code and message."""

    status, title, kind = 422, "Meta refuses it", "meta-refused"


class MetaUnreachable(Problem):
    """Meta gave no answer, or one that does not say what became of the request."""

    status, title, kind = 502, "Meta did not answer", "meta-unreachable"
    is_defect = False


class Busy(Problem):
    """The server cannot do it just now; the same request may be sent again in a moment."""

    status, title, kind = 503, "Service unavailable", "unavailable"
    is_defect = False
