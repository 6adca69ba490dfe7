"""Answers: stored ones byte for byte, and reads with their ETag."""

from fastapi import Response
from pydantic import BaseModel
from starlette.requests import Request

from shared.commands.command import Done
from shared.http.etags import etag, none_match

_JSON = "application/json"


def respond(done: Done) -> Response:
    """The answer to a command, as it was committed."""
    answer = done.answer
    response = Response(answer.body, answer.status, media_type=_JSON if answer.body else None)
    headers = response.raw_headers
    for name, value in answer.headers.items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    if done.token:
        headers.append((b"consistency-token", done.token.encode()))
    if done.repeated:
        headers.append((b"idempotency-replayed", b"true"))
    return response


def read(request: Request, model: BaseModel, *, version: int | None = None) -> Response:
    """The answer to a read; with a version it has an ETag, and is 304 if `If-None-Match` names it."""
    if version is None:
        return Response(model.model_dump_json(), media_type=_JSON)
    tag = etag(version)
    if none_match(request, tag):
        return Response(status_code=304, headers={"etag": tag})
    return Response(model.model_dump_json(), headers={"etag": tag}, media_type=_JSON)
