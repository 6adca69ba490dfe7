"""The real servers that a row runs against: a durable PostgreSQL and Apache Kafka, on loopback, gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres

DATABASE = {
    "shared_buffers": "512MB",
    "wal_buffers": "16MB",
    "effective_cache_size": "4GB",
    "max_wal_size": "4GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
"""A server rather than a laptop. Every commit is on disk before it is answered."""


@contextmanager
def folder() -> Iterator[Path]:
    """For data; other users can walk down to it, as PostgreSQL's must."""
    path = Path(tempfile.mkdtemp(prefix="qunli-bench-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def postgres(path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(path / "postgres", settings=DATABASE) as cluster:
        yield cluster


@contextmanager
def kafka(path: Path) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(path / "kafka", heap="1g") as broker:
        yield broker
