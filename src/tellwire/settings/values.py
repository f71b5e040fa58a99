"""Values of settings, from text and back to text. A parser raises ValueError for what it does not take."""

from __future__ import annotations

import base64
import ipaddress
import math
import re
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from msgspec import Struct

from tellwire.ports.mail import MailServer
from tellwire.security.addresses import AllowedNetwork
from tellwire_sdk import WebhookError
from tellwire_sdk.signing import secret_key

LOOPBACK = (AllowedNetwork(ipaddress.ip_network("127.0.0.0/8")), AllowedNetwork(ipaddress.ip_network("::1/128")))
MASK = "***"
_NETWORK_AND_PORTS = re.compile(
    r"(\[[0-9A-Fa-f:.]+\](?:/[0-9]+)?|[0-9.]+(?:/[0-9.]+)?)(?::([0-9]{1,5})(?:-([0-9]{1,5}))?)?"
)


class AppSecret(Struct, frozen=True):
    """A secret of Meta's app; `bound_to`: the one WABA or phone number id whose data it may change, "" for all."""

    value: str
    bound_to: str = ""


class ProxyAddress(Struct, frozen=True):
    """Where an HTTP proxy listens."""

    host: str
    port: int


# --- from text --------------------------------------------------------------------------------------------------------


def flag(text: str) -> bool:
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise ValueError(text)


def port(text: str) -> int:
    if 0 <= (number := int(text)) <= 65535:
        return number
    raise ValueError(text)


def count(text: str) -> int:
    """Read a whole number above 0."""
    if (number := int(text)) > 0:
        return number
    raise ValueError(text)


def not_negative(text: str) -> float:
    if math.isfinite(number := float(text)) and number >= 0:
        return number
    raise ValueError(text)


def positive(text: str) -> float:
    if (number := not_negative(text)) > 0:
        return number
    raise ValueError(text)


def database_url(text: str) -> str:
    """Read `sqlite:///FILE` as it is, and `postgres://…` as `postgresql://…`."""
    scheme, separator, rest = text.partition("://")
    match scheme:
        case "sqlite" if rest.startswith("/") and rest not in {"/", "//", "/:memory:"}:
            return text
        case "postgresql" | "postgres" if separator and rest:
            _ = urlsplit(text).port  # raises when it is no number
            return f"postgresql://{rest}"
        case _:
            raise ValueError(text)


def media_url(text: str) -> str:
    """Read `file:///FOLDER` or `s3://BUCKET…`; credentials are refused, because the value is shown as it is."""
    url = urlsplit(text)
    folder = url.scheme == "file" and not url.netloc and url.path.strip("/")
    if folder:
        return text
    query = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    if url.scheme == "s3" and url.hostname and query.keys() <= {"endpoint"} and "@" not in unquote(text):
        _ = http_url(query.get("endpoint", "http://none"))
        return text
    raise ValueError(text)


def allowed_network(text: str) -> AllowedNetwork:
    """Read a network, an IPv6 one in brackets if a port or a range of ports stands behind it."""
    found = _NETWORK_AND_PORTS.fullmatch(text)
    if found is None:  # an IPv6 network alone
        return AllowedNetwork(ipaddress.ip_network(text))
    named, first, last = found.groups()
    bracketed = named.startswith("[")
    network = ipaddress.ip_network(named.replace("[", "").replace("]", ""))
    if bracketed != isinstance(network, ipaddress.IPv6Network):
        raise ValueError(text)
    if first is None:
        return AllowedNetwork(network)
    ports = int(first), int(last or first)
    if not 1 <= ports[0] <= ports[1] <= 65535:
        raise ValueError(text)
    return AllowedNetwork(network, *ports)


def host(text: str) -> str:
    """Read an address or a name, IPv6 with or without its brackets."""
    if re.fullmatch(r"[\w.:%-]+", name := text.removeprefix("[").removesuffix("]")):
        return name
    raise ValueError(text)


def allowed_host(text: str) -> str:
    if text == "*":
        return text
    return f"*.{host(text[2:])}".lower() if text.startswith("*.") else host(text).lower()


def key(text: str) -> str:
    """Read a key that fits into a header, printable ASCII without spaces, and that is too long to be guessed."""
    if re.fullmatch(r"[!-~]{32,512}", text):
        return text
    raise ValueError(text)


def master_key(text: str) -> bytes:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    decoded = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    if len(decoded) == 32:
        return decoded
    raise ValueError(text)


def app_secret(text: str) -> AppSecret:
    """Read `SECRET` or `SECRET@ID`."""
    secret, separator, bound_to = text.rpartition("@")
    if not separator:
        return AppSecret(text)
    if secret and re.fullmatch(r"[0-9]+", bound_to):
        return AppSecret(secret, bound_to)
    raise ValueError(text)


def http_url(text: str) -> str:
    """Read an http or https URL, without a slash at its end."""
    url = urlsplit(text)
    _ = url.port
    if url.scheme in {"http", "https"} and url.hostname and not (url.query or url.fragment or url.username):
        return text.rstrip("/")
    raise ValueError(text)


def public_url(text: str) -> str:
    """Read an http or https URL; a path in it has plain parts, each in its one spelling."""
    url = http_url(text)
    if re.fullmatch(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", urlsplit(url).path):
        return url
    raise ValueError(text)


def proxy(text: str) -> ProxyAddress:
    """Read `http://HOST:PORT`, with nothing behind it but perhaps a slash."""
    url = urlsplit(text)
    extra = url.query or url.fragment or url.username or url.password or url.path not in {"", "/"}
    if url.scheme == "http" and url.hostname and url.port and not extra:
        return ProxyAddress(url.hostname, url.port)
    raise ValueError(text)


def hook_url(text: str) -> str:
    """Read an http or https URL as it is, with a query perhaps, and without a user."""
    url = urlsplit(text)
    _ = url.port
    if url.scheme in {"http", "https"} and url.hostname and not url.username and re.fullmatch(r"[!-~]{1,2048}", text):
        return text
    raise ValueError(text)


def signing_secret(text: str) -> str:
    """Read a secret of Standard Webhooks."""
    try:
        _ = secret_key(text)
    except WebhookError as error:
        raise ValueError(str(error)) from None
    return text


def mail_address(text: str) -> str:
    """Read one plain address, without a name around it."""
    if len(text) <= 254 and re.fullmatch(
        r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", text
    ):
        return text
    raise ValueError(text)


def mail_server(text: str) -> MailServer:
    """Read `smtp://…` or `smtps://…`; a password goes out only over TLS, or to this machine."""
    url = urlsplit(text)
    query = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    if url.scheme not in {"smtp", "smtps"} or url.path not in {"", "/"} or url.fragment:
        raise ValueError(text)
    if query.keys() - ({"starttls"} if url.scheme == "smtp" else set()):
        raise ValueError(text)
    tls: Literal["always", "starttls", "never"] = "always"
    if url.scheme == "smtp":
        tls = "starttls" if flag(query.get("starttls", "true")) else "never"
    name, user, password = host(url.hostname or ""), unquote(url.username or ""), unquote(url.password or "")
    if bool(user) != bool(password) or not re.fullmatch(r"[ -~]*", user + password):
        raise ValueError(text)
    if user and tls == "never" and name not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError(text)
    port_of = {"always": 465, "starttls": 587, "never": 25}
    return MailServer(
        host=name, port=port_of[tls] if url.port is None else url.port, tls=tls, user=user, password=password
    )


def severity(text: str) -> Literal["warning", "critical"]:
    match text.lower():
        case "warning":
            return "warning"
        case "critical":
            return "critical"
    raise ValueError(text)


# --- to text ----------------------------------------------------------------------------------------------------------


def to_text(value: object) -> str:
    """Return a value as the environment would take it, "" for none, with keys, bound secrets and passwords in URLs
    masked."""
    match value:
        case None:
            return ""
        case tuple():
            return ",".join(map(to_text, value))
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case bytes():
            return MASK
        case AppSecret():
            return f"{MASK}@{value.bound_to}" if value.bound_to else MASK
        case ProxyAddress():
            return f"http://[{value.host}]:{value.port}" if ":" in value.host else f"http://{value.host}:{value.port}"
        case MailServer():
            return _mail_url(value)
        case str() if "://" in value:
            return _without_password(value)
        case _:
            return str(value)


def _mail_url(server: MailServer) -> str:
    scheme = "smtps" if server.tls == "always" else "smtp"
    user = f"{quote(server.user, safe='')}:{MASK}@" if server.user else ""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{scheme}://{user}{host}:{server.port}{'?starttls=false' if server.tls == 'never' else ''}"


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    userinfo, at, address = authority.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    masked = f"{user}{colon}{MASK if colon else ''}"
    return re.sub(r"(?<=password=)[^&]*", MASK, f"{scheme}://{masked}{at}{address}{slash}{path}")
