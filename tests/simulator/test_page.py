"""The page on the simulator says what the code does, and the command does what the page says."""

from __future__ import annotations

import ast
import inspect
import json
import re
import signal
import socket
from itertools import pairwise
from pathlib import Path

import msgspec
from tests.acceptance.processes import request, running, tellwire

from tellwire.simulator import TOKEN, Knobs, knobs, number_for
from tellwire.simulator.acts import ACTS
from tellwire.simulator.control import CONTROLS

PAGE = (Path(__file__).parents[2] / "docs/how-to/test-your-whatsapp-code.md").read_text()


def table_of_knobs() -> str:
    """The table as the code would write it: name, default, and the string below the field."""
    [body] = [node.body for node in ast.parse(inspect.getsource(knobs)).body if isinstance(node, ast.ClassDef)]
    rows = []
    for field, said in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(said, ast.Expr), field.target.id
            assert isinstance(said.value, ast.Constant)
            default = msgspec.json.encode(getattr(Knobs(), field.target.id)).decode()
            rows.append(f"| `{field.target.id}` | {default} | {said.value.value!s} |")
    assert len(rows) == len(Knobs.__struct_fields__)
    return "\n".join(["| knob | unless turned | what it is |", "|---|---|---|", *rows]) + "\n"


def test_every_knob_is_on_the_page_with_its_default() -> None:
    assert table_of_knobs() in PAGE, f"it should hold:\n{table_of_knobs()}"


def test_every_control_call_and_every_act_is_on_the_page() -> None:
    assert set(re.findall(r"(?m)^\| `(GET|POST) /_simulator/(\w+)` \|", PAGE)) == CONTROLS.keys()
    assert [name for name in ACTS if f"`{name}`" not in PAGE] == []


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    shown = re.findall(r"`\+(999[0-9]+)`", PAGE)
    assert shown == [number_for(131026), number_for(131026, "answer"), number_for(131000, "status")]


def test_the_command_serves_what_curl_asks_of_it(tmp_path: Path) -> None:
    arguments = ["simulate", "--serve", "--port", "0", "--secret", "x", "--seed", "7", "--url", "http://127.0.0.1:9/"]
    with running(*arguments, cwd=tmp_path) as process:
        known = process.wait_for(
            lambda lines: dict(line.split(maxsplit=1) for line in lines[:6]) if lines[6:] else None
        )
        assert known["token"] == TOKEN
        [data] = [json.loads(found) for found in re.findall(r"-d '(\{.*messaging_product.*\})'", PAGE)]
        url = f"{known['url']}/v24.0/{known['phone_number_id']}/messages"
        status, answer = request(url, key=TOKEN, method="POST", body=data)
        assert status == 200
        assert answer["messages"][0]["id"].startswith("wamid.")
        [data] = [json.loads(found) for found in re.findall(r"-d '(\{.*wa_id.*\})'", PAGE)]
        as_curl = {"Content-Type": "application/x-www-form-urlencoded"}  # what `curl -d` says of any body
        url = f"{known['url']}/_simulator/customer"
        assert request(url, method="POST", body=data, headers=as_curl)[0] == 200
        assert process.stop(signal.SIGINT) == 0
        assert process.out[-1] == "1 sends, 1 accepted, 0 refused"


def test_a_taken_port_is_told_with_the_option_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tellwire("simulate", "--serve", "--secret", "x", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"port {port} on 127.0.0.1 is taken: stop what listens there, or choose another with --port\n"
    )
