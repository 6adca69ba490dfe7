from typing import Any

import pytest

from shared.messaging.kafka import KafkaLog
from shared.messaging.logs import open_log
from shared.settings import Settings


def settings(**options: Any) -> Settings:
    return Settings.model_validate({"database_url": "postgresql://a", **options})


async def opened(**chosen: Any) -> dict[str, Any]:
    log = await open_log(settings(**chosen), client_id="test")
    assert isinstance(log, KafkaLog)
    options = log._settings.connection  # what every client of aiokafka is made with
    await log.close()
    return options


async def test_kafka_is_reached_as_the_settings_say() -> None:
    assert await opened(kafka_bootstrap_servers="broker:9093") == {
        "bootstrap_servers": "broker:9093",
        "client_id": "test",
        "security_protocol": "PLAINTEXT",
    }
    secured = await opened(kafka_security_protocol="SASL_SSL", kafka_username="u", kafka_password="p")
    assert (secured["sasl_mechanism"], secured["sasl_plain_username"]) == ("SCRAM-SHA-512", "u")
    assert secured["sasl_plain_password"] == "p"
    assert secured["ssl_context"].check_hostname


async def test_a_setting_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="QUNLI_KAFKA_USERNAME"):
        await open_log(settings(kafka_security_protocol="SASL_SSL"), client_id="test")
    with pytest.raises(ValueError, match="QUNLI_LOCAL_LOG_URL"):
        await open_log(settings(log="local"), client_id="test")
