"""Open the log that the settings name."""

import ssl
from typing import Any

from shared.messaging.kafka import KafkaLog
from shared.messaging.local import LocalLog
from shared.messaging.log import Log
from shared.settings import Settings


async def open_log(settings: Settings, *, client_id: str) -> Log:
    """Connect to Kafka, or to the local log.

    Raises:
        ValueError: a setting that the chosen log needs is missing; the message names it.
        LogUnavailable: it does not answer.
    """
    if settings.log == "local":
        if settings.local_log_url is None:
            raise ValueError("QUNLI_LOG=local needs QUNLI_LOCAL_LOG_URL, the database of the local log")
        return await LocalLog.open(
            settings.local_log_url.get_secret_value(),
            heartbeat_seconds=settings.consumer_session_seconds / 5,
            session_timeout_seconds=settings.consumer_session_seconds,
        )
    return await KafkaLog.open(
        settings.kafka_bootstrap_servers,
        client_id=client_id,
        security=_security(settings),
        heartbeat_seconds=settings.consumer_session_seconds / 10,
        session_timeout_seconds=settings.consumer_session_seconds,
    )


def _security(settings: Settings) -> dict[str, Any]:
    """As aiokafka's clients take it."""
    security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        if settings.kafka_username is None or settings.kafka_password is None:
            raise ValueError("a SASL protocol needs QUNLI_KAFKA_USERNAME and QUNLI_KAFKA_PASSWORD")
        security |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        security["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    return security
