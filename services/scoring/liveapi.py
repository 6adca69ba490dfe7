"""Live leaderboards over HTTP: a ticket, and the stream that it opens."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

from services.scoring import tickets
from services.scoring.asking import CommunityId, MetricName, Service, metric_of, reader_of
from services.scoring.boardresources import StreamTicket
from services.scoring.boards import Metric
from services.scoring.tickets import Right
from shared.http.callers import AnyCaller, TokenExpiry, authenticate, token_expiry
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.problems import problems
from shared.http.request import received
from shared.http.routes import service_router
from shared.http.sse import EventStream, OpenStreams

live = service_router(prefix="/v1/communities/{community}/leaderboards", tags=["live"])

_NO_STORE = {"cache-control": "no-store"}
_LONGEST = 64

_EXAMPLE = """retry: 3000

event: snapshot
data: {"items":[{"rank":1,"person":"ana","value":30}],"me":null}
id: 5b0c1f7e9a3d2c48

event: change
data: {"items":[{"rank":1,"person":"ana","value":40}]}
id: 90e2d7cc01b6f5aa

event: end
data: {"reason":"token-expired"}
id: 90e2d7cc01b6f5aa
"""
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`snapshot` (BoardSnapshot), then `change` (BoardChange); `end` comes last, with its reason.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@live.post(
    "/{metric}/tickets",
    operation_id="createStreamTicket",
    summary="Get a ticket for a live leaderboard",
    status_code=201,
    response_model=StreamTicket,
    responses=problems(400, 401, 403, 404, 422),
)
async def create_ticket(
    service: Service,
    caller: AnyCaller,
    until: TokenExpiry,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    metric: MetricName,
    request: Request,
) -> Response:
    """It opens one stream, once, within 60 seconds, for whoever has it. For active members, and with scope
    `scores:read`. Whoever asks again under the same key gets another one, and the first is void."""
    reader = reader_of(caller)
    await service.boards.readable(reader, community)
    right = Right(caller.key, reader, until)
    ticket = await tickets.issue(service.gateway.pool, right, community, metric_of(metric), key=key)
    stream = f"{request.scope['path'].removesuffix('/tickets')}/stream?ticket={ticket.secret}"
    answer = StreamTicket(ticket=ticket.secret, stream=stream, expires_at=ticket.expires_at)
    return Response(answer.model_dump_json(), 201, _NO_STORE, "application/json")


@live.get(
    "/{metric}/stream",
    operation_id="streamLeaderboard",
    summary="Watch a leaderboard",
    status_code=200,
    response_class=EventStream,
    responses={**_STREAM, **problems(400, 401, 403, 404)},
    openapi_extra={"security": [{"bearer": []}, {}]},
)
async def stream(
    service: Service,
    streams: OpenStreams,
    community: CommunityId,
    metric: MetricName,
    request: Request,
    ticket: Annotated[
        str | None, Query(max_length=_LONGEST, description="In place of a token, which EventSource cannot send.")
    ] = None,
    last_event_id: Annotated[
        str | None,
        Query(
            max_length=_LONGEST,
            description="Id of the last event seen, for a new EventSource; the header Last-Event-ID counts before it.",
        ),
    ] = None,
) -> Response:
    """The first 20 members with the own place, then the first 20 whenever they changed, at most some times a second.
    Who comes back with the id of the last event seen goes on from there where that is still known, and gets a new
    snapshot where not. Comments come every 15 seconds. The stream ends when the process stops (`shutting-down`), when the
    token expires (`token-expired`), and when the reader is no active member any longer (`not-a-member`).

    In a browser: get a ticket, open `new EventSource(url)`. A ticket opens one stream, so EventSource's own attempt to
    reconnect is refused (401) and it closes: get another ticket, and add `&last_event_id=` to the new URL."""
    board = metric_of(metric)
    right = await _right(request, service, community, board, ticket)
    seen = received(request).header(b"last-event-id") or last_event_id
    events = service.streams.events(right.reader, community, board, seen)
    return EventStream(events, streams=streams, owner=right.owner, until=right.until)


async def _right(request: Request, service: Service, community: str, metric: Metric, ticket: str | None) -> Right:
    if ticket is not None:
        return await tickets.redeem(service.gateway.pool, ticket, community, metric)
    caller = await authenticate(request)
    return Right(caller.key, reader_of(caller), await token_expiry(request))
