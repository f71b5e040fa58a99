"""Docs can't rot: what is made from code equals it, every link and citation leads somewhere, every name is told."""

from __future__ import annotations

import ast
import json
import re
import runpy
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from bench import page as results

from tellwire import settings
from tellwire.cli import COMMANDS, command_reference
from tellwire.doctor import page as doctor_page
from tellwire.formats import operational
from tellwire.formats.openapi import webhooks
from tellwire.meta.outgoing import reference_page as limits
from tellwire.meta.webhooks.envelope import FIELDS
from tellwire.web.api import NOUNS
from tellwire.web.asgi import openapi
from tellwire.web.operations import exposition, metrics

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs/reference"
CODE = sorted(chain.from_iterable((ROOT / folder).rglob("*.py") for folder in ("src", "sdk", "tests", "bench")))
CITING = [*PAGES, *CODE, *ROOT.glob("*/README.md"), *ROOT.glob("**/pyproject.toml"), ROOT / "run"]

GENERATED: dict[str, tuple[Callable[[], str], str]] = {
    "docs/reference/settings.md": (settings.reference, "./run config --reference > docs/reference/settings.md"),
    "docs/reference/metrics.md": (exposition.reference, "./run config --metrics > docs/reference/metrics.md"),
    "docs/reference/command-line.md": (
        command_reference.reference,
        "./run config --command-line > docs/reference/command-line.md",
    ),
    "docs/reference/sending-limits.md": (
        limits.reference,
        "./run config --sending-limits > docs/reference/sending-limits.md",
    ),
    "docs/how-to/doctor.md": (doctor_page.reference, "./run doctor --reference > docs/how-to/doctor.md"),
    "docs/reference/licences.md": (
        lambda: str(runpy.run_path(str(ROOT / ".ci/sbom.py"))["page"]()),
        "./run sbom --licences > docs/reference/licences.md",
    ),
    "docs/reference/performance.md": (results.made, "python -m bench page"),
}
"""Page → what it must equal, and the command that makes it so."""


@pytest.mark.parametrize("page", GENERATED)
def test_page_is_what_the_code_says(page: str) -> None:
    made, command = GENERATED[page]
    assert (ROOT / page).read_text() == made(), f"run: {command}"


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for path in PAGES])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        address, _, anchor = target.partition("#")
        if "://" in address or address.startswith("mailto:"):
            continue
        there = (path.parent / address).resolve() if address else path
        assert there.exists(), f"{page} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), f"{page} links to {target}"


@cache
def _headings(path: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", path.read_text())))


def _anchors(path: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in _headings(path)}


# --- citations --------------------------------------------------------------------------------------------------------

_CITED = re.compile(r'(?<![\w*/.-])((?:\.\./)*[\w./-]*\w\.md)\b(?:, ("[^"]+"(?: and "[^"]+")*))?')
_DECISION = re.compile(r"\b[Dd]ecision (?:record )?(\d{4})\b")


def wrong_citations(text: str, folder: Path) -> list[str]:
    """What a text cites that is not there: a page by its file name, a heading of one, or a decision by its number.

    The one form of a citation with a heading is the page's path from the root, a comma, and the heading in quotes
    (without backticks); several headings are joined by "and". A page alone may also be named from `folder` (the
    text's own), or from `docs/reference`, where the pages stand that code makes.
    """
    text = re.sub(r"\w+://\S+", "", text)
    text = re.sub(r"\s+(?:#:? )?", " ", text)  # a citation may go on behind the end of a line, also in a comment
    wrong = []
    for page, quoted in _CITED.findall(text):
        there = ROOT / page.removeprefix("/")
        if not there.is_file() and not quoted:
            there = next((base / page for base in (folder, REFERENCE) if (base / page).is_file()), there)
        if not there.is_file():
            wrong.append(page)
            continue
        known = {heading.replace("`", "") for heading in _headings(there)}
        wrong += [f'{page}, "{each}"' for each in re.findall(r'"([^"]+)"', quoted) if each not in known]
    for number in _DECISION.findall(text):
        if not list((ROOT / "docs/decisions").glob(f"{number}-*.md")):
            wrong.append(f"decision {number}")
    return wrong


def test_every_citation_leads_somewhere() -> None:
    wrong = {str(path.relative_to(ROOT)): wrong_citations(path.read_text(), path.parent) for path in CITING}
    assert {path: cited for path, cited in wrong.items() if cited} == {}


_A = "docs/reference/delivery" + ".md"
_GONE = "docs/reference/invented" + ".md"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f'See {_A}, "Order".', []),
        (f'Sources: {_A}, "Order" and\n    "Retry"; RFC 9110.', []),
        (f'# {_A},\n# "Order"', []),
        (f"See {_A} and https://example.org/{_GONE}.", []),
        (f'See {_A}, "Invented".', [f'{_A}, "Invented"']),
        (f'See {_A}, "Order" and "Invented".', [f'{_A}, "Invented"']),
        (f'See {_GONE}, "Order".', [_GONE]),
        (f"(`{_GONE}`)", [_GONE]),
        ("See delivery" + ".md.", []),
        ("See delivery" + '.md, "Order".', ["delivery" + ".md"]),
        ("DELIVERY" + '.md, "Order"', ["DELIVERY" + ".md"]),
        ("Decision 0001 says so; decision record " + "9999 does not.", ["decision " + "9999"]),
    ],
)
def test_a_wrong_citation_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_citations(text, ROOT) == wrong


def test_no_two_decisions_share_a_number() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert all(re.fullmatch(r"[0-9]{4}", number) for number in numbers)
    assert sorted(set(numbers)) == sorted(numbers)


# --- names that the pages tell ----------------------------------------------------------------------------------------


def section(page: str, heading: str) -> str:
    """What stands under a heading of a reference page, deeper headings included."""
    text = (REFERENCE / page).read_text()
    found = re.search(rf"(?ms)^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,6}} |\Z)", text)
    assert found, f"{page} has no heading {heading}"
    deeper = re.search(rf"(?ms)^{found[1]} {re.escape(heading)}\n(.*?)(?=^#{{1,{len(found[1])}}} |\Z)", text)
    assert deeper
    return deeper[1]


def first_column(text: str) -> list[str]:
    """The names in backticks in the first column of every table of a text."""
    cells = re.findall(r"(?m)^\| ([^|]*)\|", text)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, which names what the API takes and shows."""
    found: dict[str, Any] = json.loads(json.dumps(openapi(webhooks())))
    return found


def enum(schema: str, *path: str) -> list[str]:
    """The words that a place in a schema of the document takes."""
    place = document()["components"]["schemas"][schema]
    for name in path:
        place = place[name]
    found = place.get("enum") or next(each["enum"] for each in place["anyOf"] if "enum" in each)
    return [word for word in found if word is not None]


def literal(name: str) -> list[str]:
    """The words of a type that the code defines as `name = Literal[…]`."""
    [found] = {text for text in assigned(name) if text.startswith("Literal[")}
    return list(ast.literal_eval(found.removeprefix("Literal")))


def assigned(name: str) -> set[str]:
    """What the code assigns to a name, wherever it does."""
    assignments = [node for node in _nodes() if isinstance(node, ast.Assign)]
    return {ast.unparse(node.value) for node in assignments if [ast.unparse(each) for each in node.targets] == [name]}


def outcomes() -> list[str]:
    """What can become of an item, as the code ranks it."""
    [found] = [node for node in _nodes() if isinstance(node, ast.ClassDef) and _is_outcomes(node)]
    return [ast.literal_eval(line.value) for line in found.body if isinstance(line, ast.Assign)]


def _is_outcomes(node: ast.ClassDef) -> bool:
    return node.name == "Outcome" and [ast.unparse(base) for base in node.bases] == ["StrEnum"]


@cache
def _nodes() -> list[ast.AST]:
    """Every node of the server's code: what is looked for is found wherever it stands."""
    sources = [path for path in CODE if path.is_relative_to(ROOT / "src")]
    return [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]


TABLES: dict[tuple[str, str], Callable[[], list[str]]] = {
    ("delivery.md", "States of a delivery"): lambda: enum("DeliveryState"),
    ("delivery.md", "Lanes"): lambda: literal("Lane"),
    ("delivery.md", "Order"): lambda: [*enum("EndpointRead", "properties", "ordering"), "ordering"],
    ("delivery.md", "Recovery"): lambda: [*enum("RecoveryRead", "properties", "include"), "include"],
    ("formats.md", "Operational events"): lambda: [*operational.EVENTS, "type"],
    ("formats.md", "Webhook fields"): lambda: list(FIELDS),
    ("rest-api.md", "Scopes"): lambda: enum("ApiKeyDraft", "properties", "scopes", "items"),
    ("rest-api.md", "Sending"): lambda: [*enum("MessageRead", "properties", "send_state"), "send_state"],
    ("rest-api.md", "Received POSTs"): outcomes,
    ("rest-api.md", "Nouns"): lambda: [*NOUNS, "/v1/"],
}
"""Page and heading → what the tables under it list, the titles of their columns included."""


@pytest.mark.parametrize(("page", "heading"), TABLES)
def test_a_table_lists_what_the_code_has(page: str, heading: str) -> None:
    told, there = first_column(section(page, heading)), TABLES[page, heading]()
    place = f'the table under "{heading}" of docs/reference/{page}'
    assert not set(there) - set(told), f"{place} has no row for {sorted(set(there) - set(told))}"
    assert not set(told) - set(there), f"{place} has rows of nothing: {sorted(set(told) - set(there))}"
    assert sorted(told) == sorted(there), f"{place} has a row twice"


def test_outcomes_are_listed_from_best_to_worst() -> None:
    assert first_column(section("rest-api.md", "Received POSTs")) == outcomes()


def test_every_kind_of_failure_is_told() -> None:
    told = set(first_column(section("delivery.md", "Retry")))
    assert set(literal("Failure")) - {""} <= told


def test_every_answer_to_meta_is_told() -> None:
    told = set(re.findall(r"(?m)^\| (\d{3}) \|", section("rest-api.md", "Endpoint for Meta")))
    [counted] = [text for text in assigned("_STATUSES") if re.fullmatch(r"\([\d, ]+\)", text)]
    assert told == {str(status) for status in ast.literal_eval(counted)}


_HEADER = re.compile(
    r"(?:tellwire|webhook|x-wappcloud|x-hub)-[a-z0-9-]*[a-z0-9]|idempotency-[a-z]+|x-request-id|last-event-id|traceparent"
)
_NO_HEADERS = {
    *("webhook-endpoints", "x-hub-signature"),
    *("tellwire-checkpointer", "tellwire-reader", "tellwire-traces", "tellwire-writer"),
}
"""A noun, a header that customers may not set, and names of threads."""


def test_every_header_of_ours_is_told() -> None:
    words = {node.value for node in _nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)}
    texts = {word.decode("latin-1") if isinstance(word, bytes) else word for word in words}
    named = {text.lower() for text in texts if _HEADER.fullmatch(text.lower())}
    assert {"webhook-id", "tellwire-event", "x-wappcloud-signature", "tellwire-organization"} <= named
    told = f"{(REFERENCE / 'formats.md').read_text()}{(REFERENCE / 'rest-api.md').read_text()}".lower()
    assert {name for name in named - _NO_HEADERS if f"`{name}" not in told} == set()


def problem_codes() -> Iterator[tuple[str, str]]:
    """Every problem that the code can answer with: its status and the code in its `type`."""
    statuses: dict[str, str] = {}
    for node in _nodes():
        if isinstance(node, ast.ClassDef):
            given = _problem_of_class(node)
            if given:
                statuses[node.name] = given[0]
                yield given
    for node in _nodes():
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in statuses:
            yield from (
                (statuses[called], ast.literal_eval(keyword.value))
                for keyword in node.keywords
                if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant)
            )
        elif called == "problem_of" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), ast.literal_eval(node.args[1])


def _problem_of_class(node: ast.ClassDef) -> tuple[str, str] | None:
    fields: dict[str, Any] = {}
    for line in node.body:
        if isinstance(line, ast.Assign):
            try:
                value = ast.literal_eval(line.value)
            except ValueError:
                continue
            target = line.targets[0]
            if isinstance(target, ast.Tuple):
                fields |= dict(zip(map(ast.unparse, target.elts), value, strict=True))
            else:
                fields[ast.unparse(target)] = value
    return (str(fields["status"]), fields["kind"]) if {"status", "title", "kind"} <= fields.keys() else None


def test_every_problem_is_told_with_its_status() -> None:
    rows = re.findall(r"(?m)^\| (\d{3}) \| (.*) \|$", section("rest-api.md", "Errors"))
    told = {(status, code) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert told - {("409", "detail")} == set(problem_codes())


def test_the_glossary_is_in_order_and_has_the_words_one_must_know() -> None:
    words = list(_headings(REFERENCE / "glossary.md")[1:])
    assert words == sorted(words, key=str.lower)
    assert {
        *("Attempt", "BSUID", "Customer service window", "Epoch", "Held", "Lane", "Lease", "Ledger"),
        *("Order key", "Outbox", "Parked", "Partition", "Wamid"),
    } <= set(words)


def test_the_settings_that_the_security_page_names_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(?:TELLWIRE_)?([A-Z]+(?:_[A-Z]+)+)(?:_FILE)?`", text))
    known = {name.upper() for name in settings.SETTINGS}
    assert {"ADMIN_KEY", "MASTER_KEY", "OPEN_OPERATIONS", "ALLOWED_HOSTS"} <= named
    assert named - known - {name + "_FILE" for name in known} == set()
    metrics_named = set(re.findall(r"`(tellwire_\w+)`", text))
    assert metrics_named <= {each.name for each in metrics.METRICS}


# --- the readme -------------------------------------------------------------------------------------------------------


def test_the_readme_quotes_the_ratio_that_the_bench_printed() -> None:
    result = json.loads((ROOT / "bench/results/end-to-end.json").read_text())
    [claim] = [each for each in result["claims"] if each["title"] == "messages/s, tellwire / user-built"]
    assert f"**{claim['value']:.1f}×**" in (ROOT / "README.md").read_text()


def test_the_readmes_commands_are_commands() -> None:
    shown = set(re.findall(r"(?m)^\./run (\w+)", (ROOT / "README.md").read_text()))
    assert {"dev", "test"} <= shown
    assert shown <= {"dev", "test", "check", "lock", *COMMANDS}


def test_the_readme_links_every_reference_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert [page.name for page in REFERENCE.glob("*.md") if f"(docs/reference/{page.name})" not in text] == []


def test_the_glossary_names_modules_that_are_there() -> None:
    paths = re.findall(r"`([a-z_/]+\.py)`", (REFERENCE / "glossary.md").read_text())
    assert paths
    assert [path for path in paths if not (ROOT / "src/tellwire" / path).is_file()] == []
