"""Open the log that the settings name."""

from shared.messaging.kafka import KafkaLog
from shared.messaging.local import LocalLog
from shared.messaging.log import Log
from shared.settings import Settings


async def open_log(settings: Settings, *, client_id: str) -> Log:
    """Connect to Kafka, or to the local log.

    Raises:
        ValueError: `QUNLI_LOG=local` without `QUNLI_LOCAL_LOG_URL`.
        LogUnavailable: it does not answer.
    """
    if settings.log == "local":
        if settings.local_log_url is None:
            raise ValueError("QUNLI_LOG=local needs QUNLI_LOCAL_LOG_URL, the database of the local log")
        return await LocalLog.open(settings.local_log_url.get_secret_value())
    return await KafkaLog.open(settings.kafka_bootstrap_servers, client_id=client_id)
