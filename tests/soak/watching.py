"""What is sampled of a running system: its processes, its databases, its log, and how far its consumers are."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from shared.messaging import outbox
from shared.service import topic_of
from tests.soak.stand import LOG_DATABASE, Stand

SHORT_LIVED = {
    "outbox": "outbox",
    "idempotency_keys": "idempotency_keys where expires_at is not null",
    "stream_tickets": "stream_tickets",
    "unattributed": "unattributed",
    "pending_joins": "pending_joins",
    "deferred_joins": "deferred_joins",
    "dead_letters": "dead_letters",
    "group_members": "group_members",
}
"""Tables that are emptied again, and which rows of them are."""

_TABLES = """
select relname::text, pg_total_relation_size(relid) as bytes, n_dead_tup
  from pg_stat_user_tables
"""
_ACTIVITY = """
select count(*) as sessions,
       coalesce(extract(epoch from max(clock_timestamp() - xact_start) filter (where backend_xid is not null)), 0)::float8
           as oldest
  from pg_stat_activity
 where datname = current_database() and backend_type = 'client backend'
"""
_LAG = re.compile(r"^qunli_projection_lag_(events|seconds)\{.*\} (\S+)$", re.M)

Sample = dict[str, float]
"""Values by series: what is measured, a slash, and of what."""


class Watch:
    """Takes samples of a stand.

    Args:
        connections: one to each database, by name.
    """

    def __init__(self, stand: Stand, connections: Mapping[str, Any], http: httpx.AsyncClient) -> None:
        self._stand = stand
        self._connections = connections
        self._http = http
        self._roles = {
            f"{service} {role}": psutil.Process(process.pid) for (service, role), process in stand.processes.items()
        }

    async def sample(self) -> Sample:
        """Everything at this moment, or close to it."""
        parts = await asyncio.gather(
            *(self._database(name) for name in self._connections),
            *(self._lag(service) for service, role in self._stand.processes if role == "consume"),
        )
        return {key: value for part in (self._processes(), self._log(), *parts) for key, value in part.items()}

    async def waiting(self) -> float:
        """Facts that relays and consumers have before them."""
        services = [service for service, role in self._stand.processes if role == "consume"]
        lags = await asyncio.gather(*map(self._lag, services))
        backlogs = [await self._backlog(service) for service in services]
        return sum(backlogs) + sum(lag[f"lag events/{service}"] for service, lag in zip(services, lags, strict=True))

    def _processes(self) -> Sample:
        found = {}
        for name, process in self._roles.items():
            with process.oneshot():
                found[f"memory/{name}"] = float(process.memory_info().rss)
                found[f"threads/{name}"] = float(process.num_threads())
                found[f"descriptors/{name}"] = float(process.num_fds())
                found[f"connections/{name}"] = float(len(process.net_connections("inet")))
        sessions = psutil.Process(self._stand.postgres.process_id).children()
        found["processes/postgres"] = float(len(sessions))
        found["memory/postgres"] = float(sum(map(_private_bytes, sessions)))
        if self._stand.kafka is not None:
            found["memory/kafka"] = float(psutil.Process(self._stand.kafka.process_id).memory_info().rss)
        return found

    async def _database(self, name: str) -> Sample:
        connection = self._connections[name]
        found: Sample = {}
        dead = 0
        for table, size, dead_rows in await connection.fetch(_TABLES):
            found[f"size/{name}.{table}"] = float(size)
            dead += dead_rows
            if table in SHORT_LIVED:
                rows = await connection.fetchval(f"select count(*) from {SHORT_LIVED[table]}")
                found[f"rows/{name}.{table}"] = float(rows)
        found[f"dead rows/{name}"] = float(dead)
        activity = await connection.fetchrow(_ACTIVITY)
        found[f"sessions/{name}"] = float(activity["sessions"])
        found[f"transaction/{name}"] = activity["oldest"]
        if name != LOG_DATABASE:
            found[f"backlog/{name}"] = await self._backlog(name)
        return found

    async def _backlog(self, service: str) -> float:
        return (await outbox.backlog(self._connections[service], topic_of(service))).events

    async def _lag(self, service: str) -> Sample:
        text = (await self._http.get(f"{self._stand.processes[service, 'consume'].url}/metrics")).text
        return {f"lag {found[1]}/{service}": float(found[2]) for found in _LAG.finditer(text)}

    def _log(self) -> Sample:
        """Size on disk of Kafka's topics; those of the local log are tables."""
        if self._stand.kafka is None:
            return {}
        sizes: Sample = {"log/facts": 0.0, "log/watermarks": 0.0, "log/offsets": 0.0}
        for folder in (self._stand.kafka.folder / "data").glob("*-*"):
            kind = next((kind for end, kind in _KINDS.items() if end in folder.name), None)
            if kind is not None:
                sizes[f"log/{kind}"] += _bytes_on_disk(folder.glob("*"))
        return sizes


_KINDS = {".events-": "facts", ".watermarks-": "watermarks", "__consumer_offsets-": "offsets"}


@asynccontextmanager
async def watching(stand: Stand) -> AsyncIterator[Watch]:
    async with AsyncExitStack() as stack:
        connections = {}
        for name, dsn in stand.dsns.items():
            connections[name] = await asyncpg.connect(dsn)
            stack.push_async_callback(connections[name].close)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=10, trust_env=False))
        yield Watch(stand, connections, http)


def _private_bytes(process: psutil.Process) -> int:
    """What only this session of PostgreSQL has; shared buffers would be counted once for each that has touched them."""
    with suppress(FileNotFoundError, ProcessLookupError):
        found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        return int(found[1]) * 1024 if found else 0
    return 0


def _bytes_on_disk(files: Iterable[Path]) -> float:
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_blocks * 512
    return float(total)
