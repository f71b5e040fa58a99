"""Every setting: one annotated field each, with its parser, what it takes and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, get_type_hints
from urllib.parse import urlsplit

from tellwire.security.addresses import AllowedNetwork
from tellwire.settings import values
from tellwire.settings.alert_fields import AlertFields
from tellwire.settings.login_fields import LoginFields
from tellwire.settings.quota_fields import QuotaFields
from tellwire.settings.setting import Setting
from tellwire.settings.values import LOOPBACK, MASK, AppSecret, ProxyAddress

PREFIX = "TELLWIRE_"
OTHER_VARIABLES = {
    "TELLWIRE_CONFIG": "Path of the settings file, instead of `tellwire.toml` in the working directory.",
    "TELLWIRE_URL": "The server that commands talk to, as `--url`.",
    "TELLWIRE_KEY": "The API key that commands send to it, as `--key`.",
    "TELLWIRE_PROFILE": "The profile of the server that commands talk to, as `--profile`.",
}
"""Variables with our prefix that are no settings."""

DEV_DEFAULTS: Mapping[str, object] = {
    "auto_accounts": True,
    "delivery_allow_cidrs": LOOPBACK,
    "model_allow_cidrs": LOOPBACK,
    "tool_allow_cidrs": LOOPBACK,
    "open_operations": True,
    "show_allow_listed_answers": True,
}
"""The defaults of `tellwire dev`, for settings that were not given."""


_NETWORKS = (
    "networks such as `10.0.0.0/8`, each perhaps with a port or a range: `10.0.0.0/8:443`, `[fd00::]/8:8000-8010`"
)


class Settings(LoginFields, frozen=True, kw_only=True):
    """Every setting with its value; secrets are plain in it and never in its repr."""

    database_url: Annotated[
        str,
        Setting(
            help="Where everything is kept. On SQLite `serve` migrates by itself; on PostgreSQL it exits with the "
            "command to run, unless `--migrate` is given.",
            takes="`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`",
            parse=values.database_url,
        ),
    ] = "sqlite:///tellwire.db"
    database_pooler: Annotated[
        bool,
        Setting(
            help="PostgreSQL stands behind a transaction-mode pooler: no prepared statements, no LISTEN.",
            takes="`true` or `false`",
            parse=values.flag,
        ),
    ] = False
    host: Annotated[
        str,
        Setting(help="Address to listen on.", takes="an IP address or host name", parse=values.host),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Setting(
            help="Port to listen on. A taken one is an error; only `dev` moves to another. 0: any free one.",
            takes="a whole number from 0 to 65535",
            parse=values.port,
        ),
    ] = 8700
    http_max_connections: Annotated[
        int | None,
        Setting(
            help="How many connections may be open. At the cap the one that has waited for its client for longest "
            "is closed for a new one; if every one waits for the server, the new one is answered 503.",
            takes="a whole number, more than 0",
            parse=values.count,
            default="4096, or what the limit of descriptors (`ulimit -n`) leaves beside deliveries and the database; "
            "never more than that",
        ),
    ] = None
    http_max_connections_per_peer: Annotated[
        int | None,
        Setting(
            help="The same for one client: an IPv4 address, or the /64 network of an IPv6 address. A reverse proxy is "
            "one client.",
            takes="a whole number, more than 0",
            parse=values.count,
            default="half of HTTP_MAX_CONNECTIONS",
        ),
    ] = None
    public_url: Annotated[
        str,
        Setting(
            help="Where this installation is reached from outside: links to media begin with it, and stay as they are "
            "in rows that were written before it changed. With a path, everything is served below that too.",
            takes="an `http://` or `https://` URL, perhaps with a path such as `/tellwire`",
            parse=values.public_url,
            default="what HOST and PORT say",
        ),
    ] = ""
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            help="Host headers that are answered, `dev` included.",
            takes="host names without port, `*.example.org` for every name below one, `*` for any",
            parse=values.allowed_host,
            many=True,
            default="what HOST implies: the loopback names, or HOST itself, or any when HOST is `0.0.0.0` or `::`; and "
            "the host of PUBLIC_URL",
        ),
    ] = ()
    open_operations: Annotated[
        bool,
        Setting(
            help="Show `/metrics` and `/version` to everybody who reaches HOST and PORT, without a key: where only "
            "those who run the installation reach them.",
            takes="`true` or `false`",
            parse=values.flag,
            default="`false`; `true` under `dev`",
        ),
    ] = False
    admin_key: Annotated[
        str,
        Setting(
            help="The operator's API key, accepted with every scope in every organization, for a first start and for "
            "tests; otherwise `tellwire keys create --operator`.",
            takes="printable ASCII without spaces, at least 32 characters (`openssl rand -base64 32` makes such a key)",
            parse=values.key,
            secret=True,
        ),
    ] = ""
    master_key: Annotated[
        tuple[bytes, ...],
        Setting(
            help="Encrypts secrets at rest. Of several the first encrypts and all decrypt.",
            takes="32 bytes in base64, standard or URL-safe (`openssl rand -base64 32` makes one)",
            parse=values.master_key,
            many=True,
            secret=True,
            default="made on the first start in a file beside an SQLite database; required with PostgreSQL",
        ),
    ] = ()
    meta_app_secret: Annotated[
        tuple[AppSecret, ...],
        Setting(
            help="Verifies Meta's POSTs; without any they are answered 503. A secret changes only accounts that it "
            "speaks for: every one, or those of the id that it is bound to.",
            takes="app secrets, each alone or bound as `SECRET@ID` to a WABA id or phone number id (digits)",
            parse=values.app_secret,
            many=True,
            secret=True,
        ),
    ] = ()
    meta_verify_token: Annotated[
        str,
        Setting(help="What Meta's GET handshake must bring.", takes="the token set in Meta's dashboard", secret=True),
    ] = ""
    meta_graph_url: Annotated[
        str,
        Setting(
            help="Meta's Graph API with its version, or anything compatible, the simulator's too. `dev` sends to its "
            "own simulator unless this is given.",
            takes="an `http://` or `https://` URL",
            parse=values.http_url,
        ),
    ] = "https://graph.facebook.com/v24.0"
    media_url: Annotated[
        str,
        Setting(
            help="Where the bytes of media are kept: a folder, or a bucket of an S3-compatible store (the extra `s3`; "
            "credentials and region come from the standard `AWS_*` variables). Several processes must share it.",
            takes="`file:///FOLDER` or `s3://BUCKET/PREFIX?endpoint=URL`",
            parse=values.media_url,
            default="a folder `NAME-media` beside an SQLite database; on PostgreSQL `media` in the working directory",
        ),
    ] = ""
    media_max_bytes: Annotated[
        int,
        Setting(
            help="How large a file may be, fetched from Meta or uploaded; Meta's own limit is 100 MB.",
            takes="a whole number of bytes, more than 0",
            parse=values.count,
        ),
    ] = 100 * 1024 * 1024
    auto_accounts: Annotated[
        bool,
        Setting(
            help="Create unknown phone number ids in the default organization, when a secret of META_APP_SECRET "
            "signed for them. Otherwise their items are kept, shown as unrouted, answered 200, and applied when the "
            "account is created.",
            takes="`true` or `false`",
            parse=values.flag,
            default="`false`; `true` under `dev`",
        ),
    ] = False
    delivery_allow_cidrs: Annotated[
        tuple[AllowedNetwork, ...],
        Setting(
            help="Addresses that deliveries may reach though they are not global; never Tellwire's own port.",
            takes=_NETWORKS,
            parse=values.allowed_network,
            many=True,
            default="none; `127.0.0.0/8,::1/128` under `dev`",
        ),
    ] = ()
    model_allow_cidrs: Annotated[
        tuple[AllowedNetwork, ...],
        Setting(
            help="The same for the models of AI agents (`base_url`).",
            takes=_NETWORKS,
            parse=values.allowed_network,
            many=True,
            default="none; `127.0.0.0/8,::1/128` under `dev`",
        ),
    ] = ()
    tool_allow_cidrs: Annotated[
        tuple[AllowedNetwork, ...],
        Setting(
            help="The same for the tools of AI agents.",
            takes=_NETWORKS,
            parse=values.allowed_network,
            many=True,
            default="none; `127.0.0.0/8,::1/128` under `dev`",
        ),
    ] = ()
    show_allow_listed_answers: Annotated[
        bool,
        Setting(
            help="Show what addresses on these lists answer, in attempts, tests and challenges and to models that call "
            "tools: for where everybody who has an API key may read your network.",
            takes="`true` or `false`",
            parse=values.flag,
            default="`false`; `true` under `dev`",
        ),
    ] = False
    delivery_proxy: Annotated[
        ProxyAddress | None,
        Setting(
            help="An HTTP proxy that deliveries go out through, by CONNECT to the address that was checked. The proxy "
            "itself is not checked, and the environment's `HTTP_PROXY` counts for nothing.",
            takes="`http://HOST:PORT`",
            parse=values.proxy,
        ),
    ] = None
    delivery_timeout_seconds: Annotated[
        float,
        Setting(
            help="Deadline of an attempt over everything, from DNS to the end of the answer.",
            takes="seconds, more than 0",
            parse=values.positive,
        ),
    ] = 15.0
    retry_schedule: Annotated[
        tuple[float, ...] | None,
        Setting(
            help="Gaps between the attempts of a delivery, jittered: one attempt more than there are gaps. A given "
            "schedule replaces the quick tries too.",
            takes="seconds, each 0 or more",
            parse=values.not_negative,
            many=True,
            default="`5,300,1800,7200,18000,36000,50400,72000,86400`, and for the head of a conversation quick tries "
            "at 0, 2, 7, 20 and 50 s",
        ),
    ] = None
    conversation_window_hours: Annotated[
        float,
        Setting(
            help="A conversation closes by itself this long after its last message was recorded; 0: never.",
            takes="hours, 0 or more",
            parse=values.not_negative,
        ),
    ] = 24.0
    tracing: Annotated[
        bool,
        Setting(
            help="Send OpenTelemetry traces: one from Meta's POST over the commit to every attempt, whose request "
            "carries `traceparent`. Needs the extra `otel`; the standard `OTEL_*` variables say where to "
            "(`OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP).",
            takes="`true` or `false`",
            parse=values.flag,
        ),
    ] = False
    retention_days: Annotated[
        float,
        Setting(
            help="How long raw payloads, events, and deliveries that are over are kept, with their attempts; what is "
            "still to be delivered stays, however old.",
            takes="days, more than 0",
            parse=values.positive,
        ),
    ] = 90.0
    retention_messages_days: Annotated[
        float | None,
        Setting(
            help="How long messages are kept, with their statuses and the conversations that have none left; at "
            "least 8 days, because Meta repeats for 7.",
            takes="days, more than 0",
            parse=values.positive,
            default="until they are erased",
        ),
    ] = None

    @property
    def accepted_hosts(self) -> tuple[str, ...]:
        """Host headers to answer, without port: ALLOWED_HOSTS or what HOST implies; `("*",)` means any."""
        if self.allowed_hosts:
            return self.allowed_hosts
        if self.host in {"0.0.0.0", "::"}:  # noqa: S104 - recognised, not bound
            return ("*",)
        loopback = self.host in {"localhost", "::1"} or self.host.startswith("127.")
        implied = [self.host, "localhost", "127.0.0.1", "::1"] if loopback else [self.host]
        public = urlsplit(self.public_url).hostname
        return tuple(dict.fromkeys([*implied, public] if public else implied))

    @property
    def base_url(self) -> str:
        """The beginning of links: PUBLIC_URL or what HOST and PORT say, without a slash at the end."""
        return self.public_url or self.local_url

    @property
    def sub_path(self) -> str:
        """The path that everything is served below, such as `/tellwire`; "" for none."""
        return urlsplit(self.public_url).path

    @property
    def local_url(self) -> str:
        """Where this machine reaches the server: what HOST and PORT say."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - recognised, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def media_location(self) -> str:
        """MEDIA_URL, or the URL of the folder that is used without it."""
        if self.media_url:
            return self.media_url
        database = self.sqlite_path
        folder = Path("media") if database is None else database.with_name(f"{database.stem}-media")
        return folder.absolute().as_uri()

    @property
    def sqlite_path(self) -> Path | None:
        """The database's file, relative to the working directory unless absolute; None on PostgreSQL."""
        path = self.database_url.removeprefix("sqlite:///")
        return None if path == self.database_url else Path(path)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={shown(self, name)!r}' for name in SETTINGS)})"


_MORE = (LoginFields, AlertFields, QuotaFields)


def _described() -> Iterator[tuple[str, Setting]]:
    hints = get_type_hints(Settings, include_extras=True)
    for name in (*Settings.__annotations__, *(name for each in _MORE for name in each.__annotations__)):
        hint = hints[name]
        if not hasattr(hint, "__metadata__"):
            raise TypeError(f"annotate the field {name} of Settings with a Setting, as its neighbours are")
        yield name, hint.__metadata__[0]


SETTINGS: dict[str, Setting] = dict(_described())
"""Field name → how it is read, in the order of the fields."""


def variable_of(name: str) -> str:
    """Return a field's environment variable."""
    return PREFIX + name.upper()


def shown(settings: Settings, name: str) -> str:
    """Return a field's value in force as text, as the environment would take it; secrets masked, "" for none."""
    value = settings.accepted_hosts if name == "allowed_hosts" else getattr(settings, name)
    return MASK if SETTINGS[name].secret and value and isinstance(value, str) else values.to_text(value)
