"""Every exception that Tellwire raises on purpose.

TellwireError
├── NotJson              a body that no JSON parser would take
├── TooLarge             a body above its limit
├── BadSignature         a POST whose signature is missing or does not verify
├── Unavailable          the store cannot make it durable just now: try again
├── Broken               what the other side sends ended before its end, or never began
├── Forbidden            an address that deliveries may not reach
├── ModelFailed          an AI agent's model gave no answer that could be sent
├── BadSettings          a setting that is unknown, malformed or missing
├── AlreadyRunning       another process owns this SQLite file
├── NotMigrated          a database without this version's schema
└── Problem              an answer of the API: 4xx with the field and the reason
    ├── BadRequest 400   ├── Unauthorized 401   ├── NotAllowed 403   ├── NotFound 404
    ├── Conflict 409     ├── Invalid 422     ├── MetaRefused 422   └── MetaUnreachable 502
"""

from __future__ import annotations


class TellwireError(Exception):
    """Root of everything below."""


class NotJson(TellwireError):
    """The body is not JSON; `reason` says where it stops being so."""


class TooLarge(TellwireError):
    """The body is larger than its limit."""


class BadSignature(TellwireError):
    """The signature is missing, malformed or of another secret."""


class Unavailable(TellwireError):
    """The store cannot commit just now (disk full, read-only, stopping); nothing was applied: try again."""


class Broken(TellwireError):
    """What the other side sends ended before its end, or never began; the text says how."""


class Forbidden(TellwireError):
    """Deliveries may not reach this address; the text names it and the rule."""


class ModelFailed(TellwireError):
    """A model gave no answer; the text says why, for people who run it. `again`: it may if it is asked once more."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


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


class Invalid(Problem):
    status, title, kind = 422, "Unprocessable content", "invalid"


class MetaRefused(Problem):
    """Meta says no; `detail` holds its code and words."""

    status, title, kind = 422, "Meta refuses it", "meta-refused"


class MetaUnreachable(Problem):
    """Meta gave no answer, or none that says what became of it."""

    status, title, kind = 502, "Meta did not answer", "meta-unreachable"
