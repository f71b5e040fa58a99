"""`tellwire dev` on a terminal: lines that change, and an input line that nothing breaks."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.processes import ROOT, every, request
from tests.acceptance.terminals import Row, Terminal, on_terminal, recording

PICTURES = Path(os.environ["TELLWIRE_PICTURES"]) if "TELLWIRE_PICTURES" in os.environ else None
"""Where the pictures of the docs go: `TELLWIRE_PICTURES=docs/images ./run test tests/acceptance/test_dev_screen.py`."""
COLUMNS = 104
INPUT = "❯ "


def having(pattern: str) -> Callable[[list[str]], re.Match[str] | None]:
    """The first line that has this."""

    def found(lines: list[str]) -> re.Match[str] | None:
        return next((match for line in lines if (match := re.search(pattern, line))), None)

    return found


def samples() -> list[str]:
    """The lines that the README shows, as patterns: their times, durations and ids differ."""
    lines = re.findall(r"(?m)^\d\d:\d\d:\d\d  .* ms  \w{6}$", (ROOT / "README.md").read_text())
    assert len(lines) == 3
    patterns = (re.sub(r"^[\d:]+|\d+ ms  \w+$", "#", line) for line in lines)
    return [r"^\S+ +" + " +".join(map(re.escape, each.split()[1:-1])) + r" +\d+ ms  \w{6}$" for each in patterns]


def stands(terminal: Terminal, typed: str) -> bool:
    """Whether the input line is the last one and holds this, the cursor behind it."""
    row, column = terminal.cursor
    line = f"{INPUT}{typed}"
    return terminal.lines[-1] == line.rstrip() and (row, column) == (len(terminal.lines) - 1, len(line))


def ready(terminal: Terminal) -> None:
    terminal.until(lambda lines: lines and lines[-1].startswith(INPUT.rstrip()))


def banner(terminal: Terminal, name: str) -> str:
    """What the first lines say of something, wherever they are by now."""
    found = having(rf"^  {name} +(\S+)")(terminal.history + terminal.lines)
    assert found is not None
    return found[1]


def test_a_message_is_one_line_that_changes_above_an_input_line_that_stays(tmp_path: Path) -> None:
    frames: list[list[Row]] = []
    with on_terminal("dev", "--no-traffic", "--port", "0", cwd=tmp_path, columns=COLUMNS) as dev:
        ready(dev)
        url, key = banner(dev, "server").rstrip("/"), banner(dev, "API key")

        def pictured() -> None:
            first = next((at + 2 for at, line in enumerate(dev.lines) if "A simulated customer:" in line), 0)
            frames.append(dev.rows(first))

        def said(line: str, pattern: str) -> re.Match[str]:
            dev.type(line)
            pictured()
            dev.type("\r")
            found = dev.until(having(pattern))
            pictured()
            return found

        said("/as Lucía Is order 17 ready?", r"^\S+  Lucía +Is order 17 ready\? +received → stored → 5 formats 200 ")
        dev.until(having(r"demo agent → Lucía .* 5 formats 200 → ✓✓ read "))
        assert any("I am a scripted demo agent" in line for line in dev.lines), "what the phone got is shown"

        dev.type("Yes, ")
        dev.until(lambda _: stands(dev, "Yes, "))
        body = {"account": "100200300400500", "to": "+5215500000001", "type": "text", "text": {"body": "By curl."}}
        assert request(f"{url}/v1/messages", key=key, method="POST", body=body)[0] == 202
        states: list[str] = []

        def seen(lines: list[str]) -> None:
            mine = [line for line in lines if "By curl." in line]
            assert len(mine) <= 1, "one line, however often it changes"
            states.extend(line.split(" → ")[-1].split("  ")[0] for line in mine)

        dev.until(having(r"API → Lucía +By curl\. .* → ✓✓ read "), seen=seen)
        assert len(dict.fromkeys(states)) > 2, states
        assert stands(dev, "Yes, "), "what is half typed stays"
        said("it is ready.", r"you → Lucía +Yes, it is ready\. .* → ✓✓ read ")

        said("/hepl", r"there is no command /hepl; did you mean /help\?")
        said("/fail 131026", "the next message fails with 131026 Message undeliverable")
        failed = said("And this one?", r"And this one\? .* → ✗ failed .*(\w{6})$")
        dev.until(having(r"✗ Meta: 131026 Message undeliverable\. /why"))
        said(f"/why {failed[1]}", r"131026")
        said("/as joao", r"João +Hello, this is João\. +received → stored → 5 formats 200 ")
        said("/media", r"João +image +received → stored → 5 formats 200 ")
        said("/resume", "agent resumed")
        dev.type("/op")
        dev.until(having("/open"))  # the rest is suggested; Tab takes it
        dev.type("\t")
        assert said("", r"/open  (http\S+)")[1].startswith(f"{url}/login/link/")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nowhere = f"127.0.0.1:{taken.getsockname()[1]}/hook"
        draft = {"url": f"http://{nowhere}", "format": "row", "events": ["messages.insert"]}
        assert request(f"{url}/v1/webhook-endpoints", key=key, method="POST", body=draft)[0] == 201
        said("/as asha", rf"Asha +Hello.* 5 formats 200 → {nowhere} no answer +\w{{6}}$")
        dev.until(having(r"✗ .*Is your server running\?"))

        for sample in samples():
            assert having(sample)(dev.history + dev.lines), sample
        texts = [row["content"].get("text", {}).get("body", "") for row in every(url, "messages", key=key)]
        assert "And this one?" in texts
        assert not [text for text in texts if text.startswith("/")], "no command went to a customer"

        dev.type("\x03")
        assert dev.stop() == 0
        assert any(line.startswith("Stopped: ") for line in dev.lines[-4:])
        assert dev.echoes, "the terminal is given back as it was"
        assert b"Traceback" not in dev.written
    picture = recording(frames, columns=COLUMNS, title="tellwire dev on a terminal")
    (PICTURES or tmp_path).joinpath("dev.svg").write_text(picture)


def test_without_colours_a_terminal_gets_plain_lines(tmp_path: Path) -> None:
    with on_terminal("dev", "--no-traffic", "--port", "0", cwd=tmp_path, NO_COLOR="1") as dev:
        dev.until(having("A simulated customer:"))
        dev.type("/hepl\n")
        dev.until(having("did you mean /help"))
        assert b"\x1b" not in dev.written
        os.kill(dev.process.pid, signal.SIGINT)
        assert dev.stop() == 0
