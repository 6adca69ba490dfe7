"""The environment of one service, read once and typed."""

import os
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.http.settings import HttpSettings
from shared.observability.settings import ObservabilitySettings

DEFAULT_PARTITIONS = 12


class Settings(HttpSettings, ObservabilitySettings, BaseSettings):
    """Every setting that all services share; each is an environment variable with the prefix `QUNLI_`."""

    model_config = SettingsConfigDict(env_prefix="QUNLI_", extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr = Field(
        min_length=1, description="PostgreSQL 18 or newer: postgresql://user:password@host:port/database"
    )
    port: int = Field(
        8400,
        ge=0,
        le=65535,
        description="TCP port of the role `api`; 0 takes a free one.",
    )
    log: Literal["kafka", "local"] = Field(
        "kafka", description="Kafka, or the append-only table of the embedded default."
    )
    local_log_url: SecretStr | None = Field(None, description="Database of the local log, where `log` is `local`.")
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma-separated.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="With SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_username: str | None = Field(None, description="With SASL.")
    kafka_password: SecretStr | None = Field(None, description="With SASL.")
    kafka_ca_file: str | None = Field(None, description="Certificate authorities of the brokers, PEM.")
    partitions: int = Field(DEFAULT_PARTITIONS, ge=1, le=1024, description="Of every topic, for good.")
    writer_connections: int = Field(8, ge=2, description="Most connections of this process that write.")
    reader_connections: int = Field(4, ge=1, description="Most connections of this process that read.")
    consumer_workers: int = Field(3, ge=1, le=16, description="Lane transactions of this process at a time.")
    consumer_session_seconds: float = Field(
        10.0, ge=1, description="A consumer silent for so long loses its lanes to others."
    )
    consumer_batch_records: int = Field(10_000, ge=1, description="Records of one lane transaction.")
    stalled_seconds: float = Field(60.0, gt=0, description="Without progress for so long, a consumer is not alive.")
    outbox_keep_seconds: float = Field(600.0, ge=0, description="How long acknowledged rows stay in the outbox.")
    key_keep_seconds: float = Field(
        86_400.0,
        gt=0,
        description="How long answers are kept under idempotency keys; under those of money and imports: for good.",
    )
    services: tuple[str, ...] = Field(
        ("membership", "content", "campaigns", "scoring"),
        description="All services that publish; watermarks name them.",
    )
    watermark_seconds: float | None = Field(1.0, description="How often the relay publishes a watermark; none: never.")


def settings_of(service: str) -> Settings:
    """Read the environment for one service. `QUNLI_DATABASE_URL_<SERVICE>` wins over `QUNLI_DATABASE_URL`, so that one
    environment can hold all services. A file of `QUNLI_SECRETS_DIR` stands for the variable of its name, in lower case.

    Raises:
        pydantic.ValidationError: a setting is missing or malformed; the message names it, never its value.
    """
    own = os.environ.get(f"QUNLI_DATABASE_URL_{service.upper()}")
    folder = os.environ.get("QUNLI_SECRETS_DIR")
    if own:
        return Settings(_secrets_dir=folder, database_url=SecretStr(own))
    return Settings(_secrets_dir=folder)
