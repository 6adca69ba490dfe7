"""What logs and traces can be told; `shared.settings` combines it with the rest under the prefix `QUNLI_`."""

from typing import Literal

from pydantic import BaseModel, Field


class ObservabilitySettings(BaseModel):
    """Fields of logs and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is written.")
    trace_ratio: float = Field(0.05, ge=0, le=1, description="Share of requests without a trace context to trace.")
    otlp_endpoint: str | None = Field(None, description="OTLP over HTTP, e.g. http://collector:4318; none: no export.")
