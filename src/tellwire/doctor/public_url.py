"""USE CASE. Checks the public URL as Meta would use it: the name, the address, TLS, the handshake and signed POSTs."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Sequence
from urllib.parse import SplitResult, urlencode, urlsplit

from msgspec import Struct

from tellwire.doctor.check import Finding
from tellwire.doctor.checks import fault, fine
from tellwire.doctor.ports import Probe, Reached
from tellwire.security.addresses import Reach, why_refused

WEBHOOK = "/meta/webhook"
_SOON_SECONDS = 14 * 86_400.0
_NO_PUBLIC_SUFFIX = (
    *(".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".test", ".invalid", ".example"),
    ".home.arpa",
)


class Place(Struct, frozen=True, kw_only=True):
    """What the settings say of where the server is reached, and what Meta proves itself with.

    `secrets`: each app secret with what it is of, and the id of an account that it is for, "" for any.
    """

    public_url: str
    local_url: str
    hosts: Sequence[str]
    verify_token: str
    secrets: Sequence[tuple[str, str, str]]


async def examine(probe: Probe, place: Place, now: float) -> list[Finding]:
    """Return what is found; requests go through the public URL where it leads here, else through the local one.

    Args:
        now: seconds since 1970.
    """
    found = await _public(probe, place, now) if place.public_url else [fault("public_url", "unset", "None is set.")]
    leads_here = bool(place.public_url) and found[-1].check in ("public_answer", "allowed_hosts") and not _broken(found)
    url = place.public_url if leads_here else place.local_url
    return [*found, await _handshake(probe, place, url), await _signed(probe, place, url)]


def url_faults(url: str) -> list[Finding]:
    """PURE. Return what is wrong with a public URL by its text alone, the gravest first."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = []
    if parts.scheme != "https":
        found.append(fault("public_url", "not_https", f"It is {url}."))
    if _is_no_public_name(host):
        found.append(fault("public_url", "not_a_public_name", f"Its host is {host or 'missing'}."))
    if parts.scheme == "https" and (parts.port or 443) != 443:
        found.append(fault("public_url", "other_port", f"Its port is {parts.port}; Meta uses 443."))
    if parts.path.rstrip("/"):
        found.append(fault("public_url", "path", f"It has the path {parts.path}."))
    return found


def _is_no_public_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host.rstrip(".") or f".{host.rstrip('.')}".endswith(_NO_PUBLIC_SUFFIX)
    return True


def admits(hosts: Sequence[str], host: str) -> bool:
    """PURE. Return whether ALLOWED_HOSTS has a host."""
    allowed = [each.lower() for each in hosts]
    return any(each in ("*", host) or (each.startswith("*.") and host.endswith(each[1:])) for each in allowed)


async def _public(probe: Probe, place: Place, now: float) -> list[Finding]:
    """Return what is found of the way in; what cannot work any more after a broken step is left out."""
    found = url_faults(place.public_url) or [fine("public_url", place.public_url)]
    if _broken(found):
        return found
    parts = urlsplit(place.public_url)
    host = parts.hostname or ""
    found.append(_address(host, await probe.addresses(host)))
    if not _broken(found):
        found += _answer(parts, await probe.ask(f"{place.public_url.rstrip('/')}/livez"), now)
    if admits(place.hosts, host):
        found.append(fine("allowed_hosts", host))
    else:
        found.append(fault("allowed_hosts", "missing", f"{host} is not one of {', '.join(place.hosts)}."))
    return found


def _address(host: str, addresses: Sequence[str]) -> Finding:
    if not addresses:
        return fault("public_address", "unresolved", f"{host} has no address.", host=host)
    for address in addresses:
        if rule := why_refused(address, 443, Reach()):
            return fault("public_address", "private", f"{host} leads to {address}: {rule}.", host=host)
    return fine("public_address", ", ".join(addresses))


def _answer(parts: SplitResult, reached: Reached, now: float) -> list[Finding]:
    """PURE. Return what the answer to /livez says of connection, certificate and server."""
    host, url = parts.hostname or "", parts.geturl().rstrip("/")
    if reached.failure == "connect":
        return [fault("public_connection", "refused", f"{host}: {reached.cause}.", url=url)]
    found = [fine("public_connection")]
    if reached.failure == "tls":
        return [*found, fault("certificate", "untrusted", f"{host}: {reached.cause}.", host=host)]
    days = (reached.expires_at - now) / 86_400
    if reached.expires_at - now < _SOON_SECONDS:
        found.append(fault("certificate", "expires_soon", f"It ends in {max(0, int(days))} days.", host=host))
    else:
        found.append(fine("certificate", f"It ends in {int(days)} days."))
    if reached.failure:
        return [*found, fault("public_answer", "another", f"{reached.cause}.", url=url)]
    if 300 <= reached.status < 400:
        cause = f"It answers {reached.status} and leads to {reached.location or 'another place'}."
        return [*found, fault("public_answer", "redirected", cause, url=url)]
    if reached.status != 200 or not _is_livez(reached.body):
        cause = f"/livez is answered {reached.status}, not as Tellwire does."
        return [*found, fault("public_answer", "another", cause, url=url)]
    return [*found, fine("public_answer")]


def _is_livez(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == {"status": "ok"})
    except ValueError:
        return False


async def _handshake(probe: Probe, place: Place, url: str) -> Finding:
    if not place.verify_token:
        return fault("verify_token", "unset", "No verify token is set, so Meta's handshake is refused.")
    challenge = str(int.from_bytes(hashlib.sha256(place.verify_token.encode()).digest()[:4], "big"))
    asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": place.verify_token}
    reached = await probe.ask(f"{url.rstrip('/')}{WEBHOOK}?{urlencode(asked)}", headers=_host(place, url))
    if reached.failure:
        return fault("verify_token", "unreached", f"Through {url}: {reached.cause}.")
    if reached.status != 200:
        return fault("verify_token", "refused", f"Through {url} the handshake is answered {reached.status}.")
    if reached.body != challenge.encode():
        return fault("verify_token", "altered", f"Through {url} the answer is not the challenge.")
    return fine("verify_token", f"through {url}")


async def _signed(probe: Probe, place: Place, url: str) -> Finding:
    """POST a body that is no JSON: with the right signature it is refused for that alone, and nothing is stored."""
    if not place.secrets:
        return fault("app_secret", "unset", "No app secret is known, so Meta's POSTs are answered 503.")
    for secret, of, named in place.secrets:
        body = f"tellwire doctor {named}".encode()
        reached = await _posted(probe, place, url, body, hmac.new(secret.encode(), body, hashlib.sha256).hexdigest())
        if reached.failure:
            return fault("app_secret", "unreached", f"Through {url}: {reached.cause}.")
        if reached.status != 400:
            cause = f"Through {url} a POST that is signed with {of} is answered {reached.status}."
            return fault("app_secret", "refused", cause)
    forged = await _posted(probe, place, url, b"tellwire doctor", "0" * 64)
    if forged.failure:
        return fault("app_secret", "unreached", f"Through {url}: {forged.cause}.")
    if forged.status != 401:
        cause = f"Through {url} a POST with a wrong signature is answered {forged.status}, not 401."
        return fault("app_secret", "forged_taken", cause)
    return fine("app_secret", f"through {url}")


async def _posted(probe: Probe, place: Place, url: str, body: bytes, signature: str) -> Reached:
    signed = (("Content-Type", "application/json"), ("X-Hub-Signature-256", f"sha256={signature}"))
    return await probe.ask(
        f"{url.rstrip('/')}{WEBHOOK}", method="POST", headers=(*_host(place, url), *signed), body=body
    )


def _host(place: Place, url: str) -> tuple[tuple[str, str], ...]:
    """Return the Host header for a request to the local URL where ALLOWED_HOSTS does not have it."""
    if url == place.public_url or admits(place.hosts, urlsplit(url).hostname or ""):
        return ()
    named = [host for host in place.hosts if "*" not in host]
    return (("Host", named[0]),) if named else ()


def _broken(found: Sequence[Finding]) -> bool:
    return any(each.state == "broken" for each in found)
