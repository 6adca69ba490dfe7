"""No request that can be made from the OpenAPI documents is answered with an error of ours, or against the document."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.system import ROOT, System
from tests.system.callers import SERVICES, Callers
from tests.system.test_isolation import OPERATING

pytestmark = pytest.mark.postgres

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
def test_an_api_answers_whatever_is_sent_as_its_document_says(
    service: str, system: System, callers: Callers, tmp_path: Path
) -> None:
    document = callers.http.get(f"/{service}/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    command: list[str | Path] = [Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run"]
    command += [f"{system.url}/{service}/openapi.json", "--url", f"{system.url}/{service}", "--no-color"]
    assert fuzz(command, callers.token("ana"), tmp_path) == (operations, operations)
    # What operators may do is refused to everybody else, so once more as one of them.
    as_operator = fuzz([*command, "--include-tag", "operation"], callers.token("pager", scope="operate"), tmp_path)
    assert as_operator == (len(OPERATING), operations)


def fuzz(command: Sequence[str | Path], token: str, folder: Path) -> tuple[int, int]:
    """Run it with a token; return how many operations were tested, of how many."""
    done = subprocess.run(
        [*command, "--header", f"Authorization: Bearer {token}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout.replace(str(ROOT), "")
    assert done.returncode == 0, said[-6000:]
    tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", said)
    assert tested is not None and tested[1] == tested[3], said[-2000:]
    return int(tested[3]), int(tested[2])
