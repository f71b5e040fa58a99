"""Give a command what it works on: the running server, or, for a few commands, the database of the settings.

The first of these that is there counts:

1. `--url` and `--key`, or TELLWIRE_URL and TELLWIRE_KEY;
2. `--profile`, or TELLWIRE_PROFILE;
3. of the servers that `dev` and `serve` started for this user and that still run: that of the database that the
   settings name, that started in the working directory, the newest (where no database is named or lies here);
4. for a few commands, the database of the settings.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Protocol, get_type_hints

import typer
from msgspec import Struct

from tellwire.cli import printing, profiles
from tellwire.cli.client import Client, NoServer
from tellwire.cli.profiles import Profile
from tellwire.cli.records import secret_of
from tellwire.errors import BadSettings
from tellwire.settings import LoadedSettings

START_HINT = "start one with `tellwire dev` or `tellwire serve`, or name another with --url and --key or --profile"


class Api(Protocol):
    """Something that answers calls of the REST API: a server, or the database through the same code."""

    is_server: bool

    def call(
        self, method: str, *path: str, body: object = None, query: Mapping[str, str] | None = None, once: str = ""
    ) -> Any:
        """Return the JSON of a call's answer; `path` is what follows /v1, in parts. See `Client.call`."""
        ...

    def every(self, *path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return all rows of a list, newest first; the pages are followed."""
        ...


class Where(Struct, frozen=True):
    """What the options of a command say about what it works on; the names are those of the options' parameters."""

    server_url: str = ""
    server_key: str = ""
    server_profile: str = ""
    organization: str = ""


URL = typer.Option("--url", metavar="URL", help="The server; with --key. See `tellwire profiles`.")
KEY = typer.Option("--key", metavar="KEY", help="Its API key; @FILE reads it from a file.")
PROFILE = typer.Option("--profile", metavar="NAME", help="A saved server with its key.")
ORGANIZATION = typer.Option("--organization", metavar="ID", help="Act in this organization, not in the key's own.")
"""The options of every command that talks to a server, for one that asks for it by itself."""

_OPTIONS: dict[str, Any] = {
    "server_url": Annotated[str, URL],
    "server_key": Annotated[str, KEY],
    "server_profile": Annotated[str, PROFILE],
    "organization": Annotated[str, ORGANIZATION],
}


OPTIONS = ("--url", "--key", "--profile", "--organization")
"""The options that say which server is meant."""


def talks_to_server(*, or_database: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for a command's function whose first parameter is `api`, which the command line does not show.

    The options that say which server is meant are added to the function's own.

    Args:
        or_database: whether the command works on the database of the settings where no server runs; such a command
            prepares an installation.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(function, include_extras=True)
        own = [
            each.replace(annotation=hints[each.name])
            for each in list(inspect.signature(function).parameters.values())[1:]
        ]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default="", annotation=annotation)
            for name, annotation in _OPTIONS.items()
        ]

        @wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            where = Where(**{name: given.pop(name) for name in _OPTIONS})
            with connected(where, or_database=or_database) as api:
                return function(api, *args, **given)

        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        return command

    return decorate


@contextmanager
def connected(where: Where, *, or_database: bool = False) -> Iterator[Any]:
    """Provide the `Api` that a command works on; a `Client` unless `or_database`.

    Raises:
        NoServer: none is named, and none runs.
        BadSettings: a setting, an option or a profile is wrong.
    """
    with _chosen(where, or_database=or_database) as api:
        yield api


def _chosen(where: Where, *, or_database: bool) -> AbstractContextManager[Api]:
    url = where.server_url or ("" if where.server_profile else os.environ.get("TELLWIRE_URL", ""))
    key = where.server_key or os.environ.get("TELLWIRE_KEY", "")
    name = where.server_profile or os.environ.get("TELLWIRE_PROFILE", "")
    if url:
        if not key:
            raise BadSettings("--url needs --key (or TELLWIRE_KEY): an API key of that server")
        return nullcontext(Client(url, secret_of("--key", key), organization=where.organization))
    if where.server_key:
        raise BadSettings("--key goes with --url; a profile has its own key")
    if name:
        return nullcontext(_client(profiles.read(name), where))
    return _of_settings(where, or_database=or_database)


def _of_settings(where: Where, *, or_database: bool) -> AbstractContextManager[Api]:
    from tellwire.cli import settings_in_force  # noqa: PLC0415 - a named server needs no settings

    loaded = settings_in_force.read()
    settings, known = loaded.settings, profiles.every()
    server = _running(known.values(), loaded)
    if server is None and or_database:
        from tellwire.cli.database_api import opened  # noqa: PLC0415 - the whole engine; a server needs none of it

        return opened(settings, where.organization)
    if server is not None:
        if server.folder != str(Path.cwd()):
            printing.err(f"tellwire: on the server at {server.url}, started in {server.folder}\n")
        return nullcontext(_client(server, where))
    if settings.admin_key and settings.port:
        local = Client(settings.local_url, settings.admin_key, organization=where.organization, start_hint=START_HINT)
        return nullcontext(local)
    last = next((f"; the last one was at {each.url}" for each in known.values() if each.made_by), "")
    raise NoServer(f"no server runs here{last}: {START_HINT}")


def _running(known: Iterable[Profile], loaded: LoadedSettings) -> Profile | None:
    """Return the running server that the settings and the working directory mean, None when they mean none."""
    running, here, settings = [each for each in known if each.runs], str(Path.cwd()), loaded.settings
    ours = profiles.fingerprint(settings)
    of_database = [each for each in running if each.database == ours]
    started_here = [each for each in running if each.folder == here]
    if of_database or loaded.sources["database_url"] != "default":
        return next(iter(of_database), None)
    if started_here or (settings.sqlite_path and settings.sqlite_path.exists()):
        return next(iter(started_here), None)
    return next(iter(running), None)


def _client(profile: Profile, where: Where) -> Client:
    hint = f"start it with `tellwire {profile.made_by}` in {profile.folder}" if profile.made_by else ""
    return Client(profile.url, profile.key, organization=where.organization, host=profile.host, start_hint=hint)
