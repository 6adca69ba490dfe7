"""JSON lines on stdout, one event per line, of our own code and of the libraries alike."""

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from shared.observability.settings import ObservabilitySettings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being served."""

_OURS = ("shared.", "services.", "deploy.")
_QUIET = {"uvicorn.access": logging.CRITICAL, "httpx": logging.WARNING, "httpcore": logging.WARNING}
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "aiokafka", "asyncpg", "asyncio", "sqlalchemy", "fastapi")


def configure(settings: ObservabilitySettings, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging through one JSON renderer.

    Args:
        settings: the level.
        stream: stdout by default.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_request,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.addFilter(Repetitions())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(["held_back"])],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name, level in _QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level)


class Repetitions(logging.Filter):
    """Lets a library's warning or traceback pass once in a while; the rest are counted, and told with the next one.

    asyncpg's pool and aiokafka tell one per retry while their server is away.
    """

    EVERY_SECONDS = 10.0
    MOST_PLACES = 500

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed_at: dict[tuple[Any, ...], float] = {}
        self._held_back: dict[tuple[Any, ...], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name.startswith(_OURS):
            return True
        place = (record.name, record.lineno, record.exc_info[0] if record.exc_info else None)
        now = self._clock()
        if now - self._passed_at.get(place, float("-inf")) < self.EVERY_SECONDS:
            self._held_back[place] = self._held_back.get(place, 0) + 1
            return False
        if len(self._passed_at) >= self.MOST_PLACES:
            self._passed_at.clear()
            self._held_back.clear()
        self._passed_at[place] = now
        if held_back := self._held_back.pop(place, 0):
            record.__dict__["held_back"] = held_back
        return True


def _add_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (current := request_id.get()) is not None:
        event["request_id"] = current
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event
