"""`make reset` removes all local data, and none of a system that runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.folders import outside
from deploy.local.postgres import FAST, EmbeddedPostgres
from deploy.local.reset import main


def test_reset_waits_for_the_system_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    with EmbeddedPostgres(state / "postgres-local", settings=FAST) as cluster:
        assert main(state) == 1
        assert "in use by process" in capsys.readouterr().err
        assert cluster.process_id is not None
        assert (state / "postgres-local" / "secret").exists()
    assert main(state) == 0
    assert not state.exists()
    assert not outside(state / "postgres-local").exists()


def test_reset_of_nothing_is_fine(tmp_path: Path, unique: Callable[[str], str]) -> None:
    assert main(tmp_path / unique("state")) == 0
