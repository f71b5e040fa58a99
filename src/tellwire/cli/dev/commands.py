"""Do what a person types in the terminal of `dev`: a slash command, or a text for the customer who wrote last."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import sys
import unicodedata
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from msgspec import Struct

from tellwire.cli.client import Rejected
from tellwire.cli.dev.chat import ChattingCustomer
from tellwire.cli.dev.phone import DevPhone
from tellwire.cli.dev.replies import SIMULATED_ONLY, Replies
from tellwire.cli.dev.rest import Rest
from tellwire.errors import TellwireError
from tellwire.meta.codes import CODES
from tellwire.simulator import PEOPLE, Person, State
from tellwire.simulator.checks import MEDIA_TYPES

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_SLOWEST = 600.0
_USUAL_CODES = (131026, 131047, 130429, 131056, 190)
_MARKS = {"done": "✓", "waiting": "…", "failed": "✗", "missing": "?", "skipped": "-"}


class CommandScreen(Protocol):
    """A screen that shows what a command did."""

    def answered(self, command: str, text: str) -> None: ...

    def not_sent(self, status: int | None, cause: str) -> None: ...

    def whole_id(self, identifier: str) -> str: ...


class Slash(Struct, frozen=True, kw_only=True):
    """A slash command. `usage`: what stands behind its name; `help`: what it does; `run` gets what was typed there."""

    usage: str = ""
    help: str
    run: Callable[[str], Awaitable[None]]


class Commands:
    """Does what is typed, line by line; what cannot be done is one line that says why.

    Args:
        customer: the simulated customer who acts here; `phone` shows their phone, None where there is none.
        simulator: the simulated Meta that messages go to, None where they go to another one.
    """

    def __init__(
        self,
        rest: Rest,
        screen: CommandScreen,
        replies: Replies,
        customer: ChattingCustomer,
        *,
        phone: DevPhone | None,
        simulator: State | None,
    ) -> None:
        self._rest = rest
        self._screen = screen
        self._replies = replies
        self._customer = customer
        self._phone = phone
        self._simulator = simulator
        self.table: Mapping[str, Slash] = {
            "/help": Slash(help="list these commands", run=self._help),
            "/as": Slash(
                usage="NAME [TEXT]",
                help=f"be another simulated customer, who writes TEXT or says hello: {_names()}",
                run=self._as,
            ),
            "/media": Slash(
                usage="[KIND]",
                help=f"let the simulated customer send a file: {', '.join(MEDIA_TYPES)}",
                run=self._media,
            ),
            "/fail": Slash(
                usage="CODE",
                help="let the next message fail with this error code of Meta's, such as 131026",
                run=self._fail,
            ),
            "/slow": Slash(
                usage="TIME",
                help="let the simulated Meta answer each send so late, such as 2s; 0 ends it; after 20 s a send is "
                "`unknown`",
                run=self._slow,
            ),
            "/why": Slash(
                usage="ID", help="tell the whole way of one message, by its id or the end of it", run=self._why
            ),
            "/open": Slash(help="open the console with a new link that logs in once", run=self._open),
            "/resume": Slash(help="give the conversation back to the agent", run=self._resume),
        }

    async def take_all(self, lines: AsyncIterator[str]) -> None:
        """Do what each line says, until there are no more lines."""
        async for line in lines:
            try:
                await self._take(line)
            except Rejected as rejected:
                self._screen.not_sent(rejected.status, str(rejected))
            except TellwireError as error:
                self._screen.not_sent(None, str(error))

    async def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if line.startswith("//"):
            await self._replies.send(line[1:])
        elif not line.startswith("/"):
            if line:
                await self._replies.send(line)
        elif command := self.table.get(word):
            if rest and not command.usage:
                raise TellwireError(f"{word} takes nothing behind it")
            await command.run(rest.strip())
        else:
            raise TellwireError(
                f"there is no command {word}; {_nearest(word.lower(), list(self.table), 'see /help')} "
                "(to send a text that begins with a slash, write two of them)"
            )

    async def _help(self, _: str) -> None:
        usages = {f"{name} {command.usage}".strip(): command.help for name, command in self.table.items()}
        width = max(map(len, usages))
        lines = [f"  {usage:<{width}}  {told}" for usage, told in usages.items()]
        self._screen.answered("/help", "\n".join([*lines, "  Anything else goes to the customer who wrote last."]))

    async def _as(self, rest: str) -> None:
        name, _, text = rest.partition(" ")
        person = _person(name)
        self._customer.become(person)
        if self._phone is not None:
            self._phone.become(person)
        self._screen.answered(
            "/as", f"you act as {person.name.split()[0]} now: /media is theirs, and the phone in the console"
        )
        await self._customer.write(text.strip() or f"Hello, this is {person.name.split()[0]}.")

    async def _media(self, kind: str) -> None:
        kind = kind or MEDIA_TYPES[0]
        if kind not in MEDIA_TYPES:
            raise TellwireError(f"/media takes {', '.join(MEDIA_TYPES)}; not {kind}")
        await self._customer.send(kind)

    async def _fail(self, code: str) -> None:
        simulator = self._simulated()
        if not code.isdecimal() or int(code) not in CODES:
            usual = ", ".join(f"{each} ({CODES[each].title})" for each in _USUAL_CODES)
            nearest = _nearest(code, [str(each) for each in CODES], "")
            raise TellwireError(
                f"/fail takes an error code of Meta's, such as {usual}{f'; {nearest}' if nearest else ''}"
            )
        simulator.fail_next(int(code))
        self._screen.answered("/fail", f"the next message fails with {code} {CODES[int(code)].title}")

    async def _slow(self, time: str) -> None:
        simulator, match = self._simulated(), _DURATION.fullmatch(time)
        seconds = float(match[1]) * _UNITS[match[2]] if match else -1
        if not 0 <= seconds <= _SLOWEST:
            raise TellwireError("/slow takes a time up to 10m, such as 2s or 500ms; 0 ends it")
        simulator.turn(latency=seconds)
        told = f"each send after {seconds:g} s; `/slow 0` ends it" if seconds else "at once again"
        self._screen.answered("/slow", f"the simulated Meta answers {told}")

    async def _why(self, identifier: str) -> None:
        if not identifier:
            raise TellwireError("/why takes an id, or the end of one that stands here")
        answer = await self._rest.call("GET", f"/v1/why?q={quote(self._screen.whole_id(identifier))}")
        self._screen.answered("/why", "\n".join(way_in_words(answer)))

    async def _open(self, _: str) -> None:
        url: str = (await self._rest.call("POST", "/v1/login-links", {}))["url"]
        self._screen.answered("/open", url)
        if _has_windows():
            await asyncio.to_thread(webbrowser.open, url)

    async def _resume(self, _: str) -> None:
        await self._replies.resume()

    def _simulated(self) -> State:
        if self._simulator is None:
            raise TellwireError(SIMULATED_ONLY)
        return self._simulator


def way_in_words(answer: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell what `/v1/why` found."""
    way = answer["journey"]
    if way is None:
        found = [f"  {each['kind']} {each['id']}  {each['title']}" for each in answer["matches"]]
        return [*(found or [f"  nothing is known of {answer['query']}"]), *(f"  {note}" for note in answer["notes"])]
    lines = []
    for step in way["steps"]:
        when = f"{datetime.fromisoformat(step['at']).astimezone():%H:%M:%S}" if step["at"] else ""
        lines.append(f"  {_MARKS.get(step['state'], '·')} {when:<8}  {step['title']}")
        lines += [f"{'':14}{step[name]}" for name in ("detail", "remedy") if step[name]]
    return lines


def _names() -> str:
    return ", ".join(person.name.split()[0] for person in PEOPLE)


def _person(name: str) -> Person:
    """Return the simulated customer of a first or last name, or of the beginning of one."""
    wanted = _plain(name)
    for person in PEOPLE:
        if wanted and any(_plain(word).startswith(wanted) for word in person.name.split()):
            return person
    firsts = {_plain(person.name.split()[0]): person.name.split()[0] for person in PEOPLE}
    close = difflib.get_close_matches(wanted, firsts, n=1)
    hint = f"; did you mean {firsts[close[0]]}?" if close else ""
    raise TellwireError(f"/as takes one of {_names()}{hint}")


def _plain(name: str) -> str:
    """Return a name in small letters without accents."""
    return "".join(each for each in unicodedata.normalize("NFD", name.casefold()) if not unicodedata.combining(each))


def _nearest(word: str, known: Sequence[str], otherwise: str) -> str:
    bare = {each.lstrip("/"): each for each in known}  # an equal slash would make any two short words alike
    close = difflib.get_close_matches(word.lstrip("/"), bare, n=1)
    return f"did you mean {bare[close[0]]}?" if close else otherwise


def _has_windows() -> bool:
    """Return whether a browser would open in a window of its own, not in this terminal."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
