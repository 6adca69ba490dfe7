"""What the parts of the Kafka adapter share: how to reach the cluster, and how to let go of a client that hangs."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.messaging.log import LogUnavailable

REQUEST_SECONDS = 5.0
STOP_SECONDS = 5.0
CLIENT_ERRORS = (KafkaError, OSError, TimeoutError)


class KafkaSettings(msgspec.Struct, frozen=True):
    """How to reach the cluster.

    Attributes:
        security: aiokafka's options of the same names: `security_protocol`, `ssl_context`, `sasl_…`.
        replication_factor: of new topics; -1 takes the cluster's default.
        heartbeat_seconds: how often a member of a group shows that it lives.
        session_timeout_seconds: a member silent for so long loses its partitions.
        stuck_seconds: a consumer that gets nothing for so long is checked, and rebuilt if there was something to get.
    """

    bootstrap_servers: str
    client_id: str
    security: Mapping[str, Any]
    replication_factor: int
    heartbeat_seconds: float
    session_timeout_seconds: float
    stuck_seconds: float

    @property
    def connection(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap_servers, "client_id": self.client_id, **self.security}

    @property
    def request_timeout_ms(self) -> int:
        # A join may be answered only when the session of a member that died has run out.
        return int((max(REQUEST_SECONDS, self.session_timeout_seconds + 5)) * 1000)


def as_unavailable(error: BaseException) -> LogUnavailable:
    return LogUnavailable(f"Kafka: {type(error).__name__}: {error}")


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Translate the client's errors."""
    try:
        yield
    except CLIENT_ERRORS as error:
        raise as_unavailable(error) from error


async def stop_within(client: AIOKafkaConsumer | AIOKafkaProducer, *, seconds: float = STOP_SECONDS) -> None:
    """Stop a client; if it does not stop in time (aiokafka#1101, #773), cut its connections."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(seconds):
            await client.stop()
        return
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await (client._client if isinstance(client, AIOKafkaConsumer) else client.client).close()
