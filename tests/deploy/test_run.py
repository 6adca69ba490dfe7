"""`make run`: it starts, serves, ends and leaves nothing behind, whatever happened before, as root and as anybody."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local import reset
from deploy.local.processes import stop
from tests.support import ordinary
from tests.support.system import ROOT, System, state_folder

pytestmark = pytest.mark.timeout(240)

FOUNDING = {"name": "Early risers", "affinity": "We run before work.", "zone": "Asia/Shanghai", "currency": "CNY"}


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder / ".state"


def authorized(system: System) -> dict[str, str]:
    answer = httpx.post(f"{system.url}/dev/tokens", json={"sub": "ana", "org": "acme"})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def found(system: System) -> str:
    """Found a community; its path."""
    headers = {**authorized(system), "Idempotency-Key": "kept"}
    answer = httpx.post(f"{system.url}/membership/v1/communities", json=FOUNDING, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def status(system: System, path: str) -> int:
    return httpx.get(f"{system.url}{path}", headers=authorized(system)).status_code


def all_gone(family: list[psutil.Process], timeout_seconds: float = 20) -> bool:
    return not psutil.wait_procs(family, timeout_seconds)[1]


@pytest.mark.parametrize("as_ordinary", [False, True], ids=["as we are", "as an ordinary user"])
def test_it_ends_cleanly_and_keeps_its_data_until_a_reset(
    state: Path, as_ordinary: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    python = None
    if as_ordinary and os.geteuid() == 0:
        os.chown(state.parent, *ordinary.NOBODY)
        python = ordinary.python("deploy.local.run")
        if python is None:
            pytest.skip("no Python that the user nobody can run")
    system = System(state, ordinary_python=python)
    try:
        system.start()
        assert (state / "address").read_text() == f"{system.url}\n"
        community = found(system)
        family = system.family()
        assert {"postgres"} <= {one.name() for one in family}
        if as_ordinary:
            assert 0 not in {one.uids().effective for one in family}
        assert system.end(signal.SIGTERM) == 0
        assert all_gone(family), [one.cmdline() for one in family if one.is_running()]
        assert not (state / "address").exists()

        system.start()
        assert reset.main(state) == 1
        assert "in use by process" in capsys.readouterr().err
        assert status(system, community) == 200
        family = system.family()
        assert system.end(signal.SIGKILL) == -signal.SIGKILL
        assert all_gone(family), [one.cmdline() for one in family if one.is_running()]

        system.start()
        assert status(system, community) == 200
        family = system.family()
        os.killpg(system.process.pid, signal.SIGINT)  # as Ctrl-C does
        assert system.process.wait(20) == 0
        assert all_gone(family), [one.cmdline() for one in family if one.is_running()]
        assert reset.main(state) == 0
        assert not state.exists()
    finally:
        system.close()


def test_the_first_page_lists_the_services_with_their_pages(system: System) -> None:
    page = httpx.get(f"{system.url}/")
    assert page.status_code == 200
    links = re.findall(r'href="([^"]+)"', page.text)
    services = ("membership", "content", "campaigns", "scoring", "dev")
    assert links == [f"/{name}/{what}" for name in services for what in ("docs", "openapi.json", "readyz", "metrics")]
    assert {link: httpx.get(f"{system.url}{link}").status_code for link in links} == dict.fromkeys(links, 200)


def test_a_taken_port_is_left_to_its_owner(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        system = System(state, port=port)
        try:
            system.start()
            assert f"Port {port} is taken; using " in system.said
            assert system.url != f"http://127.0.0.1:{port}"
            assert httpx.get(f"{system.url}/scoring/readyz").status_code == 200

            second = subprocess.run(
                [sys.executable, "-m", "deploy.local.run", "--port", "0", "--state", state],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (second.returncode, "is in use by process" in second.stderr) == (1, True)
        finally:
            system.close()


def test_a_signal_while_it_starts_leaves_nothing_behind(state: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.run", "--port", "0", "--state", state],
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        own = psutil.Process(process.pid)
        family: list[psutil.Process] = []
        while not any(is_named(one, "postgres") for one in family):
            assert process.poll() is None
            family = own.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) is not None
        assert all_gone(family), [one.cmdline() for one in family if one.is_running()]
    finally:
        stop(process, (signal.SIGTERM, 20), (signal.SIGKILL, 5))


def is_named(process: psutil.Process, name: str) -> bool:
    """Whether it runs, and under this name."""
    try:
        return bool(process.name() == name)
    except psutil.NoSuchProcess:
        return False
