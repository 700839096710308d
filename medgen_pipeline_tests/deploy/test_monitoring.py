"""What is shipped for Prometheus and Grafana: valid, tested, and about metrics that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from medgen_pipeline.metrics.definitions import LABELS, METRICS, Kind

TOP: Final = Path(__file__).parents[2]
PROMETHEUS: Final = TOP / "deploy/prometheus"
DASHBOARD: Final = TOP / "deploy/grafana/medgen.json"
OPERATIONS: Final = TOP / "docs/operations.md"
OF_PROMETHEUS: Final = {"up", "job", "instance", "le"}
HISTOGRAM_SERIES: Final = ("_bucket", "_count", "_sum")
promtool: Final = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not there: as root, .ci/system-packages installs it",
)


def rules() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def queries() -> dict[str, str]:
    """Return the queries of the dashboard by the panel and the letter that they have."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels
        for target in panel.get("targets", [])
    }


EXPRESSIONS: Final[Mapping[str, str]] = {
    **{name: rule["expr"] for name, rule in rules().items()},
    **queries(),
}


def metric_of(series: str) -> str:
    """Return the metric of a series, which has a suffix when it is part of a histogram."""
    for suffix in HISTOGRAM_SERIES:
        base = series.removesuffix(suffix)
        if base != series and base in METRICS and METRICS[base].kind is Kind.HISTOGRAM:
            return base
    return series


def labels_in(expression: str) -> Iterator[str]:
    """Yield the labels that an expression selects or groups by."""
    for selector in re.findall(r"\{([^}]*)\}", expression):
        yield from re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)
    for group in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", expression):
        yield from re.findall(r"\w+", group)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_about_what_there_is(name: str) -> None:
    """Its metrics are defined, histograms asked by their series; its labels are those they have."""
    expression = EXPRESSIONS[name]
    series = set(re.findall(r"\bmedgen_\w+", expression))
    assert series or "up{" in expression
    assert {metric_of(each) for each in series} <= set(METRICS)
    plain = {each for each in series if metric_of(each) == each}
    assert not {each for each in plain if METRICS[each].kind is Kind.HISTOGRAM}
    known = {label for each in series for label in METRICS[metric_of(each)].labels}
    assert set(labels_in(expression)) <= known | OF_PROMETHEUS


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_value_that_a_label_never_has_is_not_asked_for(name: str) -> None:
    """Closed sets of values are stated beside the label."""
    for label, values in re.findall(r"(\w+)\s*=~?\s*\"([^\"]*)\"", EXPRESSIONS[name]):
        if label in {"job", "code"}:
            continue
        for value in values.split("|"):
            assert re.search(rf"\b{value}\b", f"{LABELS[label]} {_closed_sets()}"), (label, value)


def _closed_sets() -> str:
    from medgen_pipeline.metrics import definitions  # noqa: PLC0415  its constants

    return " ".join((*definitions.LIMITS, *definitions.OUTCOMES_OF_RUNS))


def test_every_query_adds_up() -> None:
    """A panel shows the deployment and not one series for each process that was ever scraped."""
    for name, expression in queries().items():
        assert re.match(r"(sum|max|min|histogram_quantile)\b", expression), name


def test_the_dashboard_can_be_imported() -> None:
    """It names no data source of ours, and no two panels share an id or a place."""
    board = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")


def test_every_section_of_metrics_has_panels() -> None:
    """Of the families there are, most are shown; those that are not are told apart here."""
    shown = {metric_of(each) for expr in queries().values() for each in _series(expr)}
    alerted = {metric_of(each) for rule in rules().values() for each in _series(rule["expr"])}
    assert len(shown | alerted) > len(METRICS) / 2


def _series(expression: str) -> list[str]:
    return re.findall(r"\bmedgen_\w+", expression)


def test_every_alert_is_seen_to_fire_and_to_be_quiet() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == quiet == set(rules())


def test_every_alert_says_how_bad_it_is_and_what_it_is() -> None:
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in {"warning", "critical"}, name
        assert rule["annotations"]["summary"], name


def test_operators_are_told_what_to_do_about_every_alert() -> None:
    """docs/operations.md has a heading for each alert, and for none that there is not."""
    told = re.findall(r"^### (Medgen\w+)", OPERATIONS.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(rules())


def run_promtool(*arguments: str) -> None:
    """Run it where the rules are; fail with what it says."""
    done = subprocess.run(
        [shutil.which("promtool") or "", *arguments],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
@pytest.mark.parametrize(
    "command",
    ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"],
)
def test_promtool_agrees(command: str) -> None:
    """Syntax, and each alert on made-up figures."""
    run_promtool(*command.split())


@promtool
def test_every_query_can_be_parsed(tmp_path: Path) -> None:
    """The dashboard's, taken for rules."""
    asked = [
        {"record": f"test:{number}", "expr": expression}
        for number, expression in enumerate(queries().values())
    ]
    groups = {"groups": [{"name": "dashboard", "rules": asked}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    run_promtool("check", "rules", str(tmp_path / "rules.yml"))
