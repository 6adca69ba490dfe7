"""Every metric there is: names, meanings and labels in one place, none of them per community or person."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

HTTP_REQUESTS = Counter("qunli_http_requests_total", "Requests answered.", ("service", "route", "method", "status"))
HTTP_SECONDS = Histogram(
    "qunli_http_request_seconds",
    "Time to the end of the answer; of an event stream, to its beginning.",
    ("service", "route", "method"),
    buckets=_SECONDS,
)
HTTP_STREAMS = Gauge("qunli_http_streams", "Event streams that are open.", ("service",))
COMMANDS = Counter(
    "qunli_commands_total",
    "Commands by outcome: committed, repeated, refused, unavailable, failed.",
    ("service", "outcome"),
)
BATCH_COMMANDS = Histogram(
    "qunli_batch_commands",
    "Commands that shared one transaction.",
    ("service",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
OUTBOX_BACKLOG_EVENTS = Gauge(
    "qunli_outbox_backlog_events", "Outbox rows not yet acknowledged by the log.", ("service",)
)
OUTBOX_OLDEST_AGE_SECONDS = Gauge(
    "qunli_outbox_oldest_age_seconds", "Age of the oldest row not yet acknowledged; 0 if there is none.", ("service",)
)
RELAY_PUBLISHED = Counter(
    "qunli_relay_published_total", "Records acknowledged by the log, repeats included.", ("service",)
)
PROJECTION_LAG_EVENTS = Gauge(
    "qunli_projection_lag_events", "Records in the log that a consumer has not folded.", ("service", "consumer")
)
PROJECTION_LAG_SECONDS = Gauge(
    "qunli_projection_lag_seconds",
    "How long the oldest record that a consumer has not folded has been waiting; 0 without lag.",
    ("service", "consumer"),
)
PARKED_KEYS = Gauge("qunli_parked_keys", "Keys whose records wait for an operator.", ("service", "consumer"))
UNSETTLED = Gauge(
    "qunli_unsettled",
    "Purchases without their chain, or joins without their referral, that wait for what other services know.",
    ("service",),
)
UNSETTLED_OLDEST_AGE_SECONDS = Gauge(
    "qunli_unsettled_oldest_age_seconds",
    "How long the oldest of them has been waiting; 0 if there is none.",
    ("service",),
)
XMIN_AGE_SECONDS = Gauge(
    "qunli_xmin_age_seconds",
    "Age of the oldest write transaction that holds back readers of the horizon.",
    ("service",),
)
DB_POOL_IN_USE = Gauge("qunli_db_pool_in_use", "Database connections in use.", ("service", "pool"))


@cache
def http_requests(service: str, route: str, method: str, status: int) -> Counter:
    """The counter of one kind of request; kept, since finding it by labels costs more than counting."""
    return HTTP_REQUESTS.labels(service, route, method, str(status))


@cache
def http_seconds(service: str, route: str, method: str) -> Histogram:
    """The histogram of one kind of request."""
    return HTTP_SECONDS.labels(service, route, method)


@cache
def commands(service: str, outcome: str) -> Counter:
    """The counter of one outcome of commands."""
    return COMMANDS.labels(service, outcome)
