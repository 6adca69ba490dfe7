"""A QR code says what it was made of, in both kinds of picture, and is kept by clients."""

import pytest
from starlette.requests import Request

from shared.http.qr import PNG, SVG, qr_answer
from shared.http.request import KEY, Received
from tests.support.qr import read_png, read_svg

ADDRESS = "https://acme.example/join?from=群力&invitation=7H3K9QWX"


def request(**headers: str) -> Request:
    sent = {name.replace("_", "-").lower().encode(): value.encode() for name, value in headers.items()}
    return Request({"type": "http", KEY: Received("r-1", sent)})


def test_both_pictures_say_the_same() -> None:
    png, svg = qr_answer(request(), ADDRESS, PNG), qr_answer(request(), ADDRESS, SVG)
    assert (png.media_type, svg.media_type) == ("image/png", "image/svg+xml")
    assert read_png(bytes(png.body)) == read_svg(bytes(svg.body)) == ADDRESS


@pytest.mark.parametrize("kind", [PNG, SVG])
def test_a_picture_is_not_sent_twice(kind: str) -> None:
    first = qr_answer(request(), ADDRESS, kind)
    assert first.headers["cache-control"] == "private, max-age=86400"
    again = qr_answer(request(If_None_Match=first.headers["etag"]), ADDRESS, kind)
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_other_content_or_another_kind_is_another_picture() -> None:
    tags = {qr_answer(request(), content, kind).headers["etag"] for content in ("a", "b") for kind in (PNG, SVG)}
    assert len(tags) == 4
