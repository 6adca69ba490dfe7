"""The roles of services as processes of their own, as in production, with an issuer and a collector beside them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr

from deploy.local.processes import free_port, spawn, stop
from shared.http.issuer import DevelopmentIssuer
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
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


@contextmanager
def role(arguments: list[str], environment: Mapping[str, str], folder: Path, *, prefix: str = "") -> Iterator[str]:
    """Run `python -m <arguments>`; the URL it serves, with `prefix`, once it is ready."""
    port = free_port()
    log = folder / f"{'-'.join(arguments)}.log"
    process = spawn(
        [sys.executable, "-m", *arguments],
        log=log,
        death_signal=signal.SIGKILL,
        environment={**os.environ, **environment, "QUNLI_PORT": str(port), "PYTHONPATH": str(ROOT)},
        folder=ROOT,
    )
    try:
        url = f"http://127.0.0.1:{port}{prefix}"
        _wait_until_ready(process, f"{url}/readyz", log)
        yield url
    finally:
        stop(process, (signal.SIGTERM, 10), (signal.SIGKILL, 5))


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.get(url, timeout=2)
            if answer.status_code == 200:
                return
            said = answer.text
        except httpx.HTTPError as error:
            said = repr(error)
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not become ready: {said}\n{log.read_text()[-2000:]}")


class Services:
    """Starts roles; all end with it."""

    def __init__(self, authority: Authority, folder: Path, **environment: str) -> None:
        self._environment = {**authority.environment, **environment}
        self._folder = folder
        self._stack = ExitStack()

    def start(self, service: str, role_name: str, dsn: str) -> str:
        environment = {**self._environment, "QUNLI_DATABASE_URL": dsn}
        command = [f"services.{service}", role_name]
        return self._stack.enter_context(role(command, environment, self._folder, prefix=f"/{service}"))

    def start_other(self, module: str) -> str:
        return self._stack.enter_context(role([module], self._environment, self._folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


async def run_measured(module: str, spec: Mapping[str, Any]) -> Any:
    """Run a program of this folder in a process of its own: it reads `spec` as JSON, and answers in JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate(json.dumps(spec).encode())
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return json.loads(said)
