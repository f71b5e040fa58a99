"""A service that says who somebody is, so that people log in there and have no password here."""

from __future__ import annotations

from typing import Protocol

from tellwire.model.members import LoginAttempt


class LoginProvider(Protocol):
    """An OpenID Connect provider."""

    @property
    def name(self) -> str:
        """Return what its button says."""
        ...

    async def address(self, attempt: LoginAttempt) -> str:
        """Return the URL that a login begins at.

        Raises:
            LoginProviderFailed: the provider cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Drop every connection."""
        ...

    async def email(self, code: str, attempt: LoginAttempt) -> str:
        """Return the email address that the provider has verified of who logged in.

        Raises:
            LoginProviderFailed: it takes the code not, says nothing that can be trusted, or cannot be asked.
        """
        ...
