"""Provide Tellwire's databases: SQLite files, or one PostgreSQL server that runs as long as the scenario."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from bench import servers
from bench.options import Options
from bench.processes import finish


class Databases(Protocol):
    """A maker of databases; `pids` are the server's processes, whose cost counts as Tellwire's."""

    @property
    def pids(self) -> tuple[int, ...]: ...

    def new(self, name: str) -> str:
        """Return the URL of a new, empty database."""
        ...

    @contextmanager
    def copied(self, url: str, name: str) -> Iterator[str]:
        """Give the URL of a copy, which is removed when the block ends."""
        ...


@dataclass(frozen=True, slots=True)
class Files:
    """SQLite databases, each file in its own folder, because the key of its secrets lies beside it."""

    folder: Path
    pids: tuple[int, ...] = ()

    def new(self, name: str) -> str:
        folder = self.folder / name
        folder.mkdir()
        return f"sqlite:///{folder / 'bench.db'}"

    @contextmanager
    def copied(self, url: str, name: str) -> Iterator[str]:
        copy = self.folder / name
        shutil.copytree(Path(urlsplit(url).path).parent, copy)
        try:
            yield f"sqlite:///{copy / 'bench.db'}"
        finally:
            shutil.rmtree(copy, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class OnServer:
    """Databases on a PostgreSQL server."""

    folder: Path
    server: servers.Server

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.server.child.pid,)

    def new(self, name: str) -> str:
        self._client("createdb", name)
        return self._url(name)

    @contextmanager
    def copied(self, url: str, name: str) -> Iterator[str]:
        self._client("createdb", "--template", urlsplit(url).path[1:], name)
        try:
            yield self._url(name)
        finally:
            self._client("dropdb", "--force", name)

    def _url(self, name: str) -> str:
        return urlsplit(self.server.url)._replace(path=f"/{name}").geturl()

    def _client(self, program: str, *arguments: str) -> None:
        parts = urlsplit(self.server.url)
        where = ["-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username)]
        path = servers.postgres_program().parent / program
        finish([str(path), *where, *arguments], name=program, folder=self.folder, seconds=600)


@contextmanager
def databases_for(options: Options, folder: Path) -> Iterator[Databases]:
    """Give the kind of databases that the options ask for, until the block ends. Raises BenchError."""
    if options.database == "sqlite":
        yield Files(folder)
        return
    with ExitStack() as stack:
        yield OnServer(folder, servers.postgres(stack, folder))
