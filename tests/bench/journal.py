"""A journal as the lanes leave it, for the rows about rebuilds; and the command that folds it anew, measured."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from deploy.local.postgres import SUPERUSER, EmbeddedPostgres
from services.scoring.definition import SCORING
from shared.messaging.kafka import KafkaLog
from shared.migrate import migrate
from tests.bench import servers
from tests.bench.processes import ROOT, run_measured
from tests.bench.projection import CAMPAIGNS, CONTENT, JOINS
from tests.bench.rows import say
from tests.bench.topics import Crowd, fill, joins, mixed

COMMUNITIES = 20
PERSONS_SHARE = 6
"""One row in so many is a join; of the others, see `topics.mixed`."""


class Run(NamedTuple):
    """A run of the command.

    Attributes:
        seconds: from its first line, when it is about to begin, to its end.
        whole_seconds: from its start as a process.
        peak: resident memory, MB (10^6 bytes).
    """

    seconds: float
    whole_seconds: float
    peak: float


async def fold_live(postgres: EmbeddedPostgres, path: Path, rows: int, *, repeats: int) -> tuple[str, list[float]]:
    """Fold so many records from Kafka by the consumer, as often as asked, into a fresh database each time.

    Returns:
        The DSN of the last database, and the seconds of each time.
    """
    crowd = Crowd.of(rows // PERSONS_SHARE, COMMUNITIES)
    facts = rows - len(crowd.persons)
    seconds = []
    with servers.kafka(path) as kafka:
        say(f"writing {len(crowd.persons):,} joins and {facts:,} facts to Kafka")
        log = await KafkaLog.open(kafka.bootstrap_servers)
        try:
            await fill(log, [JOINS], joins(crowd))
            await fill(log, [CONTENT, CAMPAIGNS], mixed(crowd, facts))
        finally:
            await log.close()
        for number in range(repeats):
            database = f"journal_{rows}_{number}"
            await postgres.ensure_database(database)
            await migrate(postgres.dsn(database), *SCORING.migrations)
            await checkpoint(postgres)
            spec = {
                "side": "scoring",
                "bootstrap_servers": kafka.bootstrap_servers,
                "dsn": postgres.dsn(database),
                "topics": [JOINS, CONTENT, CAMPAIGNS],
                "total": rows,
            }
            seconds.append(float(await run_measured("tests.bench.consuming", spec)))
            say(f"folded live at {rows / seconds[-1]:,.0f} records/s")
    return postgres.dsn(database), seconds


async def rebuild(postgres: EmbeddedPostgres, dsn: str, rows: int) -> Run:
    """Run `python -m services.scoring rebuild --fresh`, which must find no difference."""
    await checkpoint(postgres)
    environment = {"QUNLI_MODE": "local", "QUNLI_DATABASE_URL": dsn, "PYTHONPATH": str(ROOT), "QUNLI_LOG": "local"}
    run = await asyncio.to_thread(_run, environment)
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("point_entries", "day_counts", "standings", "orders", "commission_entries"):
            live, rebuilt = await connection.fetchrow(
                f"select (select count(*) from public.{table}), (select count(*) from rebuild.{table})"
            )
            assert live == rebuilt > 0, table
        assert await connection.fetchval("select sum(seq) from rebuild.progress") == rows
    finally:
        await connection.close()
    return run


async def checkpoint(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn("postgres", SUPERUSER))
    await connection.execute("checkpoint")
    await connection.close()


def _run(environment: Mapping[str, str]) -> Run:
    started_at = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.scoring", "rebuild", "--fresh"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process, _peak_of(process) as peaks:
        begins = process.stdout.readline()
        began_at = time.perf_counter()
        said = begins + process.stdout.read()
        process.wait()
        ended_at = time.perf_counter()
    if process.returncode != 0 or not begins.startswith(b"folding all"):
        raise RuntimeError(f"the rebuild failed, or found differences:\n{said.decode()}")
    return Run(ended_at - began_at, ended_at - started_at, max(peaks))


@contextmanager
def _peak_of(process: "subprocess.Popen[bytes]") -> Iterator[list[float]]:
    """Look at the peak of its memory, over and over. What `wait4` says would count ours, which it has before its `exec`."""
    peaks = [0.0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
            if found is not None:
                peaks.append(int(found[1]) * 1024 / 1e6)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield peaks
    finally:
        ended.set()
        looking.join()
