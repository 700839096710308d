"""What is in `deploy/` and cannot be started here holds together: names, paths, versions, settings.

The chart's own models state which values there are; their field names at Dagster 1.13 are below.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from dagster._config import process_config
from dagster._config.field_utils import convert_potential_field
from dagster._core.run_coordinator import QueuedRunCoordinator

from medgen_pipeline.runtime.coordinator import BoundedRunCoordinator
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.stored_logs import StoredComputeLogManager
from medgen_pipeline.settings import Settings

TOP: Final = Path(__file__).parents[1]
DEPLOY: Final = TOP / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
PROBES: Final = {"liveness": "/api/v1/health/live", "readiness": "/api/v1/health/ready"}
NOT_RUN: Final = ("Not applied here", "Not started here", "Not built here")

Values = dict[str, Any]

PART: Final = {
    *("image", "env", "envConfigMaps", "envSecrets", "labels", "nodeSelector", "affinity"),
    *("tolerations", "podSecurityContext", "securityContext", "resources", "livenessProbe"),
    *("readinessProbe", "startupProbe", "annotations", "schedulerName", "volumeMounts", "volumes"),
}
# Of helm/dagster/schema/schema/charts: what each of the chart's models takes.
CHART: Final[dict[str, set[str]]] = {
    "": {
        *("dagsterWebserver", "dagster-user-deployments", "postgresql", "rabbitmq", "redis"),
        *("generatePostgresqlPasswordSecret", "generateCeleryConfigSecret", "flower", "ingress"),
        *("imagePullSecrets", "computeLogManager", "scheduler", "runLauncher", "pythonLogs"),
        *("dagsterDaemon", "busybox", "migrate", "telemetry", "serviceAccount", "global"),
        *("retention", "additionalInstanceConfig"),
    },
    "dagsterWebserver": PART
    | {"replicaCount", "nameOverride", "pathPrefix", "service", "workspace", "deploymentLabels"}
    | {"enableReadOnly", "dbStatementTimeout", "dbPoolRecycle", "logLevel"},
    "dagsterDaemon": PART
    | {"enabled", "runCoordinator", "heartbeatTolerance", "deploymentLabels"}
    | {"runMonitoring", "runRetries", "sensors", "schedules"},
    "dagsterDaemon.runCoordinator": {"enabled", "type", "config"},
    "dagsterDaemon.runCoordinator.config": {"queuedRunCoordinator", "customRunCoordinator"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "dagster-user-deployments.deployments": PART
    | {"name", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "port"},
    "runLauncher": {"type", "config"},
    "runLauncher.config": {"celeryK8sRunLauncher", "k8sRunLauncher", "customRunLauncher"},
    "runLauncher.config.k8sRunLauncher": {
        *("image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile"),
        *("envConfigMaps", "envSecrets", "envVars", "volumeMounts", "volumes", "labels"),
        *("failPodOnRunFailure", "resources", "schedulerName", "securityContext", "runK8sConfig"),
    },
    "runLauncher.config.k8sRunLauncher.runK8sConfig": {
        *("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig"),
        "jobMetadata",
    },
    "computeLogManager": {"type", "config"},
}


def documents(path: Path) -> list[Values]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def values() -> Values:
    (found,) = documents(KUBERNETES / "values.yaml")
    return found


def at(values: Values, path: str) -> Iterator[Values]:
    """Yield what is at a path: one mapping, or each of a list."""
    found: Any = values
    for step in filter(None, path.split(".")):
        found = found[step]
    yield from found if isinstance(found, list) else [found]


@pytest.mark.parametrize("path", CHART)
def test_the_chart_takes_every_value(path: str, values: Values) -> None:
    for part in at(values, path):
        assert part.keys() <= CHART[path]


def test_the_queue_and_the_logs_of_the_chart_are_ours(values: Values) -> None:
    """Their classes take the config that is given, and limits are those of the environment."""
    queue = values["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"]
    logs = values["computeLogManager"]["config"]["customComputeLogManager"]
    for given, ours in ((queue, BoundedRunCoordinator), (logs, StoredComputeLogManager)):
        assert (given["module"], given["class"]) == (ours.__module__, ours.__name__)
        kind = convert_potential_field(ours.config_type()).config_type
        assert process_config(kind, given["config"]).success
    assert issubclass(BoundedRunCoordinator, QueuedRunCoordinator)
    (code,) = values["dagster-user-deployments"]["deployments"]
    settings = Settings.from_env(code["env"])
    limits = Limits.of(settings).as_dict()
    assert {name: queue["config"][name] for name in limits} == limits
    assert queue["config"]["max_concurrent_runs"] == settings.max_concurrent_jobs
    assert logs["config"]["data_url"] == settings.data_url


def test_a_run_may_take_more_than_its_guard_allows(values: Values) -> None:
    """The guard comes before the kernel's limit, which says nothing."""
    (code,) = values["dagster-user-deployments"]["deployments"]
    limit = values["runLauncher"]["config"]["k8sRunLauncher"]["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) >= 1.2 * int(code["env"]["JOB_MAX_MEMORY_MB"])


def test_probes_and_prometheus_ask_for_what_the_design_names() -> None:
    api, service, monitor = documents(KUBERNETES / "api.yaml")
    (container,) = api["spec"]["template"]["spec"]["containers"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in PROBES}
    assert probes == PROBES
    assert [each["path"] for each in monitor["spec"]["endpoints"]] == ["/metrics"]
    labels = api["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == monitor["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("path", sorted(KUBERNETES.glob("*.yaml")), ids=lambda path: path.name)
def test_manifests_name_their_kind_and_what_they_mount(path: Path) -> None:
    for document in documents(path):
        if path.name == "values.yaml":
            continue
        assert {"apiVersion", "kind", "metadata"} <= document.keys()
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in (*pod.get("containers", []), *pod.get("initContainers", [])):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_the_image_is_pinned_is_nobodys_root_and_copies_what_there_is() -> None:
    text = (KUBERNETES / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    assert {word for word, _ in lines} <= {
        *("ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "CMD")
    }
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-", text, re.MULTILINE)
    froms = [rest for word, rest in lines if word == "FROM"]
    assert froms == ["python:${PYTHON} AS build", "python:${PYTHON}"]
    users = [rest for word, rest in lines if word == "USER"]
    assert users[-1].split(":")[0] not in {"root", "0"}
    ignored = (TOP / ".dockerignore").read_text().splitlines()
    for word, rest in lines:
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (TOP / source).exists()
                assert any(line.startswith(f"!{source}") for line in ignored)


def test_services_of_compose_hang_together() -> None:
    (found,) = documents(DEPLOY / "compose/compose.yaml")
    services: Values = found["services"]
    mounted = {
        volume.split(":")[0] for each in services.values() for volume in each.get("volumes", [])
    }
    assert mounted == found["volumes"].keys()
    for service in services.values():
        assert set(service.get("depends_on", [])) <= services.keys()
        assert re.search(r":[\w.-]*\d", service["image"]), "pinned"
    given: dict[str, str] = services["medgen"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in given.items()}
    assert Settings.from_env(defaults).data_url == "s3://medgen/data"


def test_what_was_not_run_says_so_at_its_top() -> None:
    paths = [*KUBERNETES.glob("*.yaml"), KUBERNETES / "Dockerfile", DEPLOY / "compose/compose.yaml"]
    for path in paths:
        assert any(words in path.read_text().splitlines()[0] for words in NOT_RUN)


def test_scripts_are_shell() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n", str(DEPLOY / "ray/start.sh")], check=True)
