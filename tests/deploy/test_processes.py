"""What compose.yaml starts, started here: the same commands and settings, as processes beside PostgreSQL and Kafka."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port, spawn, stop, wait_until
from shared.http.issuer import DevelopmentIssuer
from shared.settings import Settings
from tests.support.edge import edge
from tests.support.system import ROOT, run_tool

READY_SECONDS = 60
ROLE = re.compile(r"(membership|content|campaigns|scoring)-(api|relay|consume|migrate)")


class Composed:
    """The roles of compose.yaml on this machine.

    Args:
        folder: for secrets, keys and what the processes say.
        public: the port of the edge, which is the issuer, too.
    """

    def __init__(self, postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, public: int) -> None:
        services = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text())["services"]
        self.roles: dict[str, dict[str, Any]] = {name: one for name, one in services.items() if ROLE.fullmatch(name)}
        self.ports = {name: free_port() for name in self.roles}
        self._postgres = postgres
        self._folder = folder
        self._given = {
            "QUNLI_AUTH_ISSUER": f"http://127.0.0.1:{public}/dev",
            "QUNLI_AUTH_JWKS_URL": f"http://127.0.0.1:{public}/dev/jwks.json",
            "QUNLI_AUTH_AUDIENCE": "qunli",
            "QUNLI_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "QUNLI_OTLP_ENDPOINT": None,
        }

    async def make_databases(self) -> None:
        for service in {name.partition("-")[0] for name in self.roles}:
            await self._postgres.ensure_database(f"composed_{service}")

    def environment(self, name: str) -> dict[str, str]:
        """As compose.yaml gives it, with this machine's addresses."""
        service = name.partition("-")[0]
        [secret] = self.roles[name]["secrets"]
        assert secret == {"source": f"{service}_database_url", "target": "qunli_database_url"}
        secrets = self._folder / f"{service}-secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / secret["target"]).write_text(self._postgres.dsn(f"composed_{service}") + "\n")
        given = {key: self._given[key] for key in self.roles[name]["environment"]}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("QUNLI_")}
        own = {"QUNLI_SECRETS_DIR": str(secrets), "QUNLI_PORT": str(self.ports[name]), "QUNLI_MODE": "local"}
        return {**kept, **{key: value for key, value in given.items() if value is not None}, **own}

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", *self.roles[name]["command"]]

    @contextmanager
    def running(self) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
        """Migrate, then start all other roles; until the context ends."""
        for name in self.roles:
            if name.endswith("-migrate"):
                subprocess.run(self.command(name), env=self.environment(name), cwd=ROOT, check=True, timeout=60)
        with ExitStack() as stack:
            processes = {}
            for name in self.roles:
                if not name.endswith("-migrate"):
                    processes[name] = spawn(
                        self.command(name),
                        log=self._folder / f"{name}.log",
                        death_signal=signal.SIGKILL,
                        environment=self.environment(name),
                        folder=ROOT,
                    )
                    stack.callback(stop, processes[name], (signal.SIGTERM, 15), (signal.SIGKILL, 5))
            yield processes

    def probe(self, name: str) -> bool:
        """What the health check of compose.yaml says."""
        test = self.roles[name]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "python"]
        done = subprocess.run([sys.executable, *test[2:]], env=self.environment(name), cwd=ROOT, check=False)
        return done.returncode == 0


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_the_demo_plays_across_the_processes_that_compose_starts(
    postgres: EmbeddedPostgres, private_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    public = free_port()
    issuing = Settings(
        mode="local", auth_issuer=f"http://127.0.0.1:{public}/dev", database_url=SecretStr("postgresql://nowhere")
    )
    composed = Composed(postgres, private_kafka, tmp_path, public)
    asyncio.run(composed.make_databases())
    upstream = {
        service: f"http://127.0.0.1:{composed.ports[f'{service}-api']}"
        for service in ("membership", "content", "campaigns", "scoring")
    }
    with (
        edge({**upstream, "s": upstream["content"]}, DevelopmentIssuer(issuing, tmp_path), public) as url,
        composed.running() as processes,
    ):
        waiting = set(processes)

        def healthy() -> bool:
            waiting.difference_update({name for name in waiting if answers(composed, name, "readyz")})
            return not waiting

        assert wait_until(healthy, READY_SECONDS, every_seconds=0.2), f"not ready: {sorted(waiting)}"
        assert all(composed.probe(name) for name in processes)
        code, said = run_tool("deploy.local.demo", "--url", url)
        assert code == 0, said
        assert "points" in said
        ended = {name: process.returncode for name, process in processes.items() if process.poll() is not None}
        assert ended == {}
    codes = {name: process.returncode for name, process in processes.items()}
    assert set(codes.values()) == {0}, codes


def answers(composed: Composed, name: str, probe: str) -> bool:
    service = name.partition("-")[0]
    try:
        return httpx.get(f"http://127.0.0.1:{composed.ports[name]}/{service}/{probe}", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
