"""The dashboard and the alert rules ask for metrics, labels and values that exist, as the alarm table says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.deploy.dockerfile import ROOT
from tests.deploy.facts import DEPLOY, documents
from tests.served import served

Samples = dict[str, dict[str, set[str]]]
"""Name of a sample → its labels → the values of each."""

RULES = {
    rule["alert"]: rule
    for group in documents(DEPLOY / "prometheus/alerts.yaml")[0]["groups"]
    for rule in group["rules"]
}
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/tellwire.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = {name: rule["expr"] for name, rule in RULES.items()} | {
    f"{panel['title']}: {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
_SELECTOR = re.compile(r"\b((?:tellwire_\w+)|up)\b(?:\{([^}]*)\})?")
_MATCH = re.compile(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"')
_NOT_OURS = {"job", "instance"}
"""Labels that Prometheus adds."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """What the real `/metrics` has."""
    with served(tmp_path_factory.mktemp("metrics")) as app:
        app.world.store.counters.attempts["delivered", "2xx"] += 1  # without any attempt there is no sample
        text = app.call("GET", "/metrics").body.decode()
    found: Samples = {"up": {}}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def wrong(expression: str, known: Samples) -> Iterator[str]:
    """What an expression asks for that there is not."""
    for name, matches in _SELECTOR.findall(expression):
        if name not in known:
            yield name
            continue
        for label, operator, value in _MATCH.findall(matches):
            values = known[name].get(label)
            if label in _NOT_OURS:
                continue
            if values is None:
                yield f"{name}: {label}"
            elif not any(re.fullmatch(value, each) for each in values):
                yield f'{name}: {label}{operator}"{value}"'
    grouped = {label for given in re.findall(r"\bby \(([^)]*)\)", expression) for label in given.split(", ")}
    there = {label for name, _ in _SELECTOR.findall(expression) for label in known.get(name, ())}
    yield from (f"by ({label})" for label in sorted(grouped - there - _NOT_OURS))


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("rate(tellwire_inbound_posts_total[5m])", []),
        ("rate(tellwire_inbound_post_total[5m])", ["tellwire_inbound_post_total"]),
        ('tellwire_inbound_posts_total{status="402"}', ['tellwire_inbound_posts_total: status="402"']),
        ('tellwire_inbound_posts_total{code="401"}', ["tellwire_inbound_posts_total: code"]),
        ("sum by (cause) (tellwire_inbound_posts_total)", ["by (cause)"]),
        ("sum by (le) (rate(tellwire_commit_seconds_bucket[5m]))", []),
    ],
)
def test_a_wrong_expression_is_found(expression: str, found: list[str], samples: Samples) -> None:
    assert list(wrong(expression, samples)) == found


def test_every_expression_asks_for_what_there_is(samples: Samples) -> None:
    found = {name: list(wrong(expression, samples)) for name, expression in ASKED.items()}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_every_metric_but_the_slow_counts_is_on_the_dashboard(samples: Samples) -> None:
    shown = {name for panel in PANELS for target in panel["targets"] for name, _ in _SELECTOR.findall(target["expr"])}
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in samples}
    left_out = {
        "tellwire_lease_moves_total",
        "tellwire_results_refused_total",
        "tellwire_retention_removed_total",
        "tellwire_retention_rounds_total",
        "tellwire_retention_stride_seconds",
    }
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == left_out


def test_the_dashboard_can_be_imported() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {"${source}"}
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"source", "job"}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells


# --- the alarm table --------------------------------------------------------------------------------------------------


def alarms() -> dict[str, tuple[str, str]]:
    """The alarm table: name of the rule → the metric and when."""
    text = (ROOT / "docs/how-to/operate.md").read_text().partition("## What to alarm on\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line.replace("`", ""))[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {row[3].strip(): (row[0].strip().replace("\\|", "|"), row[1].strip()) for row in rows}


def test_every_alarm_has_its_rule() -> None:
    assert alarms().keys() == RULES.keys() - {"TellwireDown"}


def plain(text: str) -> str:
    """An expression without what only adds processes up."""
    return re.sub(r"\b(?:sum|max)(?: by \(le\))?\s*|[() ]", "", text)


_THRESHOLDS = {
    "1": "== 1",
    "above 3 days": f"> {3 * 86400}",
    "rises": "> 0",
    "above the retention and a day": "> 91 * 86400",
}


@pytest.mark.parametrize("name", alarms())
def test_a_rule_asks_what_its_alarm_says(name: str) -> None:
    metric, when = alarms()[name]
    rule = RULES[name]
    above = re.match(r"above ([\d.]+)(?= |$)", when)
    threshold = _THRESHOLDS.get(when) or (f"> {above[1]}" if above else "")
    asked = re.sub(r"\bdelta\((.*?)\[15m\]\)", r"\1", rule["expr"]).replace(" > 0)", ")")
    assert threshold
    assert plain(asked) == plain(f"{metric} {threshold}")
    if when.endswith("minutes"):
        assert rule["for"].endswith("m")
    if when.endswith("hours"):
        assert rule["for"].endswith("h")


def test_every_rule_says_what_and_what_to_do() -> None:
    for rule in RULES.values():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "remedy"} == rule["annotations"].keys()


def test_the_scrape_configuration_names_the_rules_and_the_job() -> None:
    (scrape,) = documents(DEPLOY / "prometheus/scrape.yaml")
    for name in scrape["rule_files"]:
        assert (Path(DEPLOY) / "prometheus" / name).is_file()
    assert [job["job_name"] for job in scrape["scrape_configs"]] == ["tellwire"]
    assert 'job="tellwire"' in RULES["TellwireDown"]["expr"]
