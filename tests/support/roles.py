"""The roles of services as processes of their own, as in production, with an issuer and a collector beside them."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr

from deploy.local.processes import free_port, spawn, stop
from shared.http.issuer import DevelopmentIssuer
from shared.settings import Settings
from tests.support.system import ROOT

READY_SECONDS = 60.0


class Authority:
    """Signs tokens, serves its keys as JWKS, and takes whatever traces it is sent."""

    def __init__(self, folder: Path) -> None:
        self._issuer = DevelopmentIssuer(Settings(mode="local", database_url=SecretStr("postgresql://nowhere")), folder)
        keys = json.dumps({"keys": self._issuer.documents()}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(keys)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, sub: str, *, organization: str, scope: str = "") -> str:
        return self._issuer.sign(sub=sub, org=organization, scope=scope, ttl=86_400)

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a service that trusts it, and traces as by default."""
        return {
            "QUNLI_MODE": "local",
            "QUNLI_AUTH_JWKS_URL": f"{self.url}/jwks.json",
            "QUNLI_OTLP_ENDPOINT": self.url,
            "QUNLI_LOG_LEVEL": "warning",
        }


class Process:
    """`python -m <arguments>`, started.

    Attributes:
        url: what it serves, with `prefix`.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str], folder: Path, *, prefix: str = "") -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}{prefix}"
        self._log = folder / f"{'-'.join(arguments)}.log"
        self._process = spawn(
            [sys.executable, "-m", *arguments],
            log=self._log,
            death_signal=signal.SIGKILL,
            environment={**os.environ, **environment, "QUNLI_PORT": str(port), "PYTHONPATH": str(ROOT)},
            folder=ROOT,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """What it has written."""
        return self._log.read_text()

    def wait_until_ready(self, within_seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + within_seconds
        said = ""
        while time.monotonic() < deadline and self.runs:
            try:
                answer = httpx.get(f"{self.url}/readyz", timeout=2)
                if answer.status_code == 200:
                    return
                said = answer.text
            except httpx.HTTPError as error:
                said = repr(error)
            time.sleep(0.1)
        raise RuntimeError(f"{self.url} does not become ready: {said}\n{self.said[-2000:]}")

    def stop(self) -> None:
        stop(self._process, (signal.SIGTERM, 10), (signal.SIGKILL, 5))


class Services:
    """Starts roles; all end with it."""

    def __init__(self, authority: Authority, folder: Path, **environment: str) -> None:
        self._environment = {**authority.environment, **environment}
        self._folder = folder
        self._stack = ExitStack()

    def start(self, service: str, role_name: str, dsn: str) -> str:
        """Start a role of a service; the URL it serves, once it is ready."""
        process = self._launch([f"services.{service}", role_name], prefix=f"/{service}", QUNLI_DATABASE_URL=dsn)
        process.wait_until_ready()
        return process.url

    def start_all(self, roles: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], Process]:
        """Start roles beside each other: (service, role, dsn). By service and role, once all of them are ready."""
        started = {
            (service, role): self._launch([f"services.{service}", role], prefix=f"/{service}", QUNLI_DATABASE_URL=dsn)
            for service, role, dsn in roles
        }
        for process in started.values():
            process.wait_until_ready(2 * READY_SECONDS)
        return started

    def start_other(self, module: str) -> str:
        process = self._launch([module])
        process.wait_until_ready()
        return process.url

    def _launch(self, arguments: list[str], *, prefix: str = "", **environment: str) -> Process:
        process = Process(arguments, {**self._environment, **environment}, self._folder, prefix=prefix)
        self._stack.callback(process.stop)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
