"""QR codes as answers: one picture as SVG and as PNG, kept by clients, since what a code leads to never changes."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import segno
from fastapi import Response
from starlette.requests import Request

from shared.http.etags import none_match

SVG = "image/svg+xml"
PNG = "image/png"

_KINDS = {SVG: "svg", PNG: "png"}
_PIXELS = 8
"""Of one module: a picture of some 300 pixels, which prints well and is read from a screen."""

_QUIET = 4
"""Modules of white around the code, as ISO/IEC 18004 asks."""

_CACHE = "private, max-age=86400"


def qr_answer(request: Request, content: str, media_type: str) -> Response:
    """The QR code of `content` (level M: a seventh of it may be damaged), or 304 where `If-None-Match` has it already.

    Args:
        media_type: `SVG` or `PNG`.
    """
    tag = f'"{hashlib.sha256(f"{media_type} {content}".encode()).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": _CACHE}
    if none_match(request, tag):
        return Response(status_code=304, headers=headers)
    picture = io.BytesIO()
    segno.make_qr(content, error="m").save(picture, kind=_KINDS[media_type], scale=_PIXELS, border=_QUIET)
    return Response(picture.getvalue(), headers=headers, media_type=media_type)


def qr_responses(media_type: str) -> Mapping[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that answers a QR code: pass it as `responses`, beside the problems."""
    schema = {"type": "string"} if media_type == SVG else {"type": "string", "format": "binary"}
    return {
        200: {"description": "The QR code.", "content": {media_type: {"schema": schema}}},
        304: {"description": "The client has it already."},
    }
