"""`LoginProvider` over HTTP: an OpenID Connect provider at OIDC_ISSUER.

The client's secret goes only to the addresses that the provider's own configuration names. OIDC_ISSUER is the
operator's setting and may name any address, a private one too; redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
import msgspec
from msgspec import Struct

from tellwire.errors import LoginProviderFailed
from tellwire.model.members import LoginAttempt
from tellwire.model.units import HOUR, MICROS, MINUTE, Micros
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Request, Sender
from tellwire.security import oidc
from tellwire.security.oidc import Provider

_SECONDS = 10.0
_CONFIGURATION = "/.well-known/openid-configuration"
_AGAIN: Micros = MINUTE
"""Unknown keys are asked for once in this time: who makes up key ids costs the provider nothing more."""


_AFTER_FAILURE: Micros = 5 * MICROS
"""For so long nobody is asked again after a failure: strangers begin logins too."""


class _Tokens(Struct, frozen=True):
    id_token: str


class HttpLoginProvider:
    """An OpenID Connect provider; its configuration and keys are read again every hour."""

    def __init__(
        self, sender: Sender, clock: Clock, *, issuer: str, client_id: str, secret: str, name: str, trusts_email: bool
    ) -> None:
        self.name = name
        self._sender, self._clock = sender, clock
        self._issuer, self._client_id, self._secret = issuer, client_id, secret
        self._trusts_email = trusts_email
        self._provider: tuple[Provider, Micros] | None = None
        self._keys: tuple[dict[str, Any], Micros] = {}, 0
        self._failure: tuple[str, Micros] = "", 0
        self._asking = asyncio.Lock()

    async def address(self, attempt: LoginAttempt) -> str:
        """Return the URL that a login begins at; see `LoginProvider`."""
        return oidc.address(await self._configuration(), self._client_id, attempt)

    async def email(self, code: str, attempt: LoginAttempt) -> str:
        """Return the email address of who logged in; see `LoginProvider`."""
        provider = await self._configuration()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect,
            "code_verifier": attempt.verifier,
        }
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        if provider.takes_basic:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        answer = await self._ask(provider.token_endpoint, "POST", tuple(headers), urlencode(form).encode())
        try:
            token = msgspec.json.decode(answer, type=_Tokens).id_token
        except msgspec.MsgspecError:
            raise LoginProviderFailed("its answer has no token") from None
        return oidc.verified_email(
            token,
            await self._keys_for(token, provider),
            provider=provider,
            client_id=self._client_id,
            nonce=attempt.nonce,
            trusts_email=self._trusts_email,
        )

    async def close(self) -> None:
        """Drop every connection."""
        await self._sender.close()

    async def _configuration(self) -> Provider:
        async with self._asking:
            now = self._clock.now()
            if self._provider is not None and 0 <= now - self._provider[1] < HOUR:
                return self._provider[0]
            failure, at = self._failure
            if failure and 0 <= now - at < _AFTER_FAILURE:
                raise LoginProviderFailed(failure)
            try:
                found = oidc.provider_of(await self._ask(f"{self._issuer}{_CONFIGURATION}"), self._issuer)
            except LoginProviderFailed as error:
                self._failure = str(error), self._clock.now()
                raise
            self._provider, self._failure = (found, now), ("", 0)
            return found

    async def _keys_for(self, token: str, provider: Provider) -> dict[str, Any]:
        (keys, at), now = self._keys, self._clock.now()
        age = now - at
        if not keys or not 0 <= age < HOUR or (oidc.key_id(token) not in keys and age >= _AGAIN):
            try:
                found = jwt.PyJWKSet.from_json((await self._ask(provider.jwks_uri)).decode())
            except (jwt.PyJWKSetError, jwt.PyJWKError, ValueError, AttributeError) as error:
                raise LoginProviderFailed(f"its keys cannot be read: {error}") from None
            keys = {str(each.key_id or ""): each for each in found.keys if each.public_key_use in {None, "sig"}}
            self._keys = keys, now
        return keys

    async def _ask(
        self, url: str, method: Any = "GET", headers: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> bytes:
        answer = await self._sender.send(
            Request(url=url, method=method, headers=headers, body=body, timeout=_SECONDS, once=bool(body))
        )
        if not answer.ok or answer.truncated:
            why = answer.cause.replace("your server", "it", 1) or "its answer is too large"
            raise LoginProviderFailed(f"{url} gave no answer that helps: {why}")
        return answer.body
