"""PURE. OpenID Connect: what a provider says of itself, and whether to believe what it says of a person.

Sources: OpenID Connect Core 1.0 (sections 2 and 3.1.3.7), OpenID Connect Discovery 1.0, RFC 7636 (PKCE).
The extra `oidc` brings the library that checks signatures.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import msgspec
from msgspec import Struct

from tellwire.errors import LoginProviderFailed
from tellwire.model.members import LoginAttempt, email_of

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that need no shared secret; a token that claims another one, or none, is not believed."""
_LEEWAY_SECONDS = 60


class Provider(Struct, frozen=True):
    """What a provider's configuration says, as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)

    @property
    def takes_basic(self) -> bool:
        """Whether the client's secret is sent in a header, and not in the form."""
        return "client_secret_basic" in self.token_endpoint_auth_methods_supported


def provider_of(document: bytes, issuer: str) -> Provider:
    """Return the provider that a configuration describes.

    Raises:
        LoginProviderFailed: it is no such document, it is of another issuer, or it names an address that is not https
            while the issuer's is.
    """
    try:
        found = msgspec.json.decode(document, type=Provider)
    except msgspec.MsgspecError as error:
        raise LoginProviderFailed(f"its configuration cannot be read: {error}") from None
    if found.issuer.rstrip("/") != issuer.rstrip("/"):
        raise LoginProviderFailed(f"its configuration is of another issuer, {found.issuer}: OIDC_ISSUER has to be that")
    scheme = urlsplit(issuer).scheme
    for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        if urlsplit(url).scheme not in {"https", scheme}:
            raise LoginProviderFailed(f"its configuration names {url}, which is not https")
    return found


def address(provider: Provider, client_id: str, attempt: LoginAttempt) -> str:
    """Return the URL that a login begins at."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": attempt.redirect,
        "scope": "openid email profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(provider.authorization_endpoint).query else "?"
    return f"{provider.authorization_endpoint}{joint}{urlencode(query)}"


def key_id(token: str) -> str:
    """Return which of the provider's keys a token says that it is signed with, "" for none.

    Raises:
        LoginProviderFailed: it is no token.
    """
    try:
        return str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.InvalidTokenError:
        raise LoginProviderFailed("its answer has no token that can be read") from None


def verified_email(
    token: str, keys: Mapping[str, Any], *, provider: Provider, client_id: str, nonce: str, trusts_email: bool
) -> str:
    """Return the email address in an ID token.

    Args:
        keys: the provider's keys by id (`jwt.PyJWK`).
        trusts_email: whether an address counts of which the provider does not say that it was verified.

    Raises:
        LoginProviderFailed: the signature, the times, the issuer, the audience or the nonce is wrong, or there is no
            verified address in it.
    """
    key = keys.get(key_id(token)) or (next(iter(keys.values())) if len(keys) == 1 else None)
    if key is None or key.algorithm_name not in _ALGORITHMS:
        raise LoginProviderFailed("it signed with a key that it does not publish")
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=client_id,
            issuer=provider.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.InvalidTokenError as error:
        raise LoginProviderFailed(f"its token is not valid: {error}") from None
    if claims.get("nonce") != nonce:
        raise LoginProviderFailed("its token is of another login")
    if claims.get("azp", client_id) != client_id:
        raise LoginProviderFailed("its token is for another program")
    email = claims.get("email")
    found = email_of(email) if isinstance(email, str) else ""
    if not found:
        raise LoginProviderFailed("it names no email address: its program for Tellwire needs the scope email")
    if not trusts_email and claims.get("email_verified") not in {True, "true"}:
        raise LoginProviderFailed("it does not say that it has verified the address (see OIDC_TRUST_EMAIL)")
    return found
