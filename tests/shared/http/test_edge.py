"""Bad input and trouble, as a client sees them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from httpx import Response

from shared.errors import Conflict, Unavailable
from tests.shared.http.toy import Client

GOOD = '{"title": "hello"}'


def refused(response: Response, status: int, reason: str) -> dict[str, Any]:
    """Check that this is a whole problem document, and return it."""
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["type"]) == (status, f"/problems/{reason}"), document
    assert document["status"] == status
    assert document["title"] and document["detail"]
    assert document["instance"] == response.headers["x-request-id"]
    return document


async def test_a_good_request_passes(client: Client) -> None:
    response = await client.post(GOOD)
    assert response.status_code == 201
    assert response.json() == {"title": "x"}
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == "/toy/v1/notes/1"
    assert response.headers["consistency-token"] == "toy.3.1-22-3"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "idempotency-replayed" not in response.headers


BAD_BODIES = [
    ("", 422, "invalid-request"),
    ("{", 400, "body-malformed"),
    ('{"title": "a"} x', 400, "body-malformed"),
    ("\ufeff" + GOOD, 400, "body-malformed"),
    ('{"title": "a\nb"}', 400, "body-malformed"),
    ('{"title": "a", "share": NaN}', 400, "not-a-number"),
    ('{"title": "a", "share": -Infinity}', 400, "not-a-number"),
    ('{"title": "a", "share": 1e999}', 400, "not-a-number"),
    ('{"title": "a\\u0000b"}', 400, "nul-character"),
    ('{"title": "a", "more": {"b\\u0000": [1]}}', 400, "nul-character"),
    ('{"title": "a", "more": {"b": [["\\u0000"]]}}', 400, "nul-character"),
    ('{"title": "\\ud800"}', 400, "lone-surrogate"),
    ('{"title": "a", "x\\udfff": 1}', 400, "lone-surrogate"),
    ('{"title": "a", "title": "b"}', 400, "member-repeated"),
    ('{"title": "a", "more": {"b": 1, "b": 1}}', 400, "member-repeated"),
    ('{"title": "a", "stars": ' + "9" * 3000 + "}", 422, "invalid-request"),
    ('{"title": "a", "more": ' + "[" * 1900 + "]" * 1900 + "}", 400, "nested-too-deeply"),
    ("[" * 4000, 400, "nested-too-deeply"),
    ("[]", 422, "invalid-request"),
    ("null", 422, "invalid-request"),
]


@pytest.mark.parametrize(("body", "status", "reason"), BAD_BODIES)
async def test_a_bad_body_is_refused(client: Client, body: str, status: int, reason: str) -> None:
    refused(await client.post(body), status, reason)
    assert client.service.got == []


async def test_a_body_that_is_not_utf_8_is_refused(client: Client) -> None:
    for body in (b'{"title": "\xff"}', b'{"title": "\xed\xa0\x80"}', GOOD.encode("utf-16"), b'{"title": "a\x00"}'):
        response = await client.post(body)
        assert response.status_code == 400
        assert response.json()["type"] in {"/problems/body-not-utf-8", "/problems/body-malformed"}
    assert client.service.got == []


@pytest.mark.parametrize("text", ["\\u0041", "\\ud83d\\ude00", "\\\\u0000", "\\\\ud800", "\ufffd"])
async def test_harmless_escapes_pass(client: Client, text: str) -> None:
    assert (await client.post(f'{{"title": "{text}"}}')).status_code == 201


BAD_FIELDS = [
    ("{}", "/title", "missing"),
    ('{"title": 5}', "/title", "string-type"),
    ('{"title": ""}', "/title", "string-too-short"),
    ('{"title": "a", "stars": "1"}', "/stars", "int-type"),
    ('{"title": "a", "stars": true}', "/stars", "int-type"),
    ('{"title": "a", "stars": 1.0}', "/stars", "int-type"),
    ('{"title": "a", "stars": 1180591620717411303424}', "/stars", "less-than-equal"),
    ('{"title": "a", "stars": -9223372036854775809}', "/stars", "greater-than-equal"),
    ('{"title": "a", "colour": "red"}', "/colour", "extra-forbidden"),
    ('{"title": "a", "a/b~c": 1}', "/a~1b~0c", "extra-forbidden"),
    ('{"title": "a", "kind": "poem"}', "/kind", "literal-error"),
    ('{"title": "a", "at": "2026-01-01T10:00:00"}', "/at", "value-error"),
    ('{"title": "a", "at": "2026-02-30T10:00:00Z"}', "/at", "value-error"),
    ('{"title": "a", "at": "0001-01-01T00:00:00+14:00"}', "/at", "value-error"),
    ('{"title": "a", "at": 1760000000}', "/at", "value-error"),
    ('{"title": "a", "zone": "Mars/Olympus"}', "/zone", "value-error"),
    ('{"title": "a", "zone": "../../etc/passwd"}', "/zone", "value-error"),
    ('{"title": "a", "currency": "EUX"}', "/currency", "value-error"),
    ('{"title": "a", "currency": "eur"}', "/currency", "string-pattern-mismatch"),
    ('{"title": "a", "about": "7"}', "/about", "string-too-short"),
]


@pytest.mark.parametrize(("body", "pointer", "reason"), BAD_FIELDS)
async def test_a_bad_field_is_named(client: Client, body: str, pointer: str, reason: str) -> None:
    document = refused(await client.post(body), 422, "invalid-request")
    assert [(error["pointer"], error["reason"]) for error in document["errors"]] == [(pointer, reason)]
    assert client.service.got == []


async def test_errors_repeat_no_values_and_stay_small(client: Client) -> None:
    secret = "s3cret" * 50
    many = {f"{secret}{number}": number for number in range(10)} | {"title": secret, "kind": secret}
    response = await client.post(json.dumps(many))
    refused(response, 422, "invalid-request")
    assert response.text.count("s3cret") < 500  # names are cut, values left out
    assert len(response.content) < 6000


async def test_values_are_taken_as_written(client: Client) -> None:
    body = (
        '{"title": "a", "stars": 9223372036854775807, "at": "2026-03-01T10:30:00.5+02:00", "zone": "Asia/Shanghai",'
        ' "currency": "CNY", "about": "0193A5B0-7F6E-7C3A-9D53-2C7C1A1F6A10"}'
    )
    assert (await client.post(body)).status_code == 201
    note = client.service.got[0][0]
    assert note.at.isoformat() == "2026-03-01T08:30:00.500000+00:00"
    assert (note.stars, note.about) == (2**63 - 1, "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=utf-16", ""])
async def test_a_body_must_be_json(client: Client, kind: str) -> None:
    refused(await client.post(GOOD, content_type=kind), 415, "media-type-unsupported")


async def test_a_charset_of_utf_8_passes(client: Client) -> None:
    assert (await client.post(GOOD, content_type="application/json; charset=UTF-8")).status_code == 201


async def test_a_large_body_is_refused(client: Client) -> None:
    response = await client.post(json.dumps({"title": "a" * 5000}))
    refused(response, 413, "body-too-large")
    assert response.headers["connection"] == "close"


async def test_a_large_body_without_a_length_is_refused_before_it_is_all_read(client: Client) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 1000

    headers = {"content-type": "application/json", "idempotency-key": "k", **client.bearer()}
    response = await client.http.post("/v1/notes", content=chunks(), headers=headers)
    refused(response, 413, "body-too-large")
    assert sent < 10


async def test_a_chunked_body_is_read_whole(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"ti', b'tle": ', b'"hello"}'):
            yield part

    headers = {"content-type": "application/json", "idempotency-key": "k", **client.bearer()}
    assert (await client.http.post("/v1/notes", content=chunks(), headers=headers)).status_code == 201


async def test_a_body_that_never_comes_is_not_waited_for(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    headers = {"content-type": "application/json", "idempotency-key": "k", **client.bearer()}
    refused(await client.http.post("/v1/notes", content=chunks(), headers=headers), 408, "body-too-slow")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/v1/notes/a%00b", "nul-character"),
        ("/v1/notes/%ff", "path-not-utf-8"),
        ("/v1/notes/%ED%A0%80", "path-not-utf-8"),
        ("/v1/notes?about=%00", "nul-character"),
        ("/v1/notes?about=%ff", "path-not-utf-8"),
    ],
)
async def test_a_bad_path_or_query_is_refused(client: Client, target: str, reason: str) -> None:
    refused(await client.http.get(target, headers=client.bearer()), 400, reason)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=1180591620717411303424", "limit=x", "limit=1.5"])
async def test_a_bad_parameter_is_named(client: Client, query: str) -> None:
    document = refused(await client.http.get(f"/v1/notes?{query}", headers=client.bearer()), 422, "invalid-request")
    assert [error["parameter"] for error in document["errors"]] == ["limit"]


async def test_headers_that_are_given_once_must_be(client: Client) -> None:
    for name in ("idempotency-key", "authorization", "content-type"):
        usual = {"content-type": "application/json", "idempotency-key": "k", **client.bearer()}
        headers = [*usual.items(), (name, usual[name])]
        refused(await client.http.post("/v1/notes", content=GOOD, headers=headers), 400, "header-repeated")


async def test_an_unknown_path_is_a_problem(client: Client) -> None:
    for path in ("/", "/v1/nothing", "/v1/notes/", "/v2/notes"):
        refused(await client.http.get(path, headers=client.bearer()), 404, "no-such-path")


async def test_a_wrong_method_tells_all_right_ones(client: Client) -> None:
    response = await client.http.delete("/v1/notes")
    refused(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_tells_the_methods(client: Client) -> None:
    response = await client.http.options("/v1/notes/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")
    refused(await client.http.options("/v1/nothing"), 404, "no-such-path")


async def test_head_is_get_without_a_body(client: Client) -> None:
    for path in ("/v1/notes", "/v1/notes/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"):
        got = await client.http.get(path, headers=client.bearer())
        head = await client.http.head(path, headers=client.bearer())
        assert head.content == b""
        assert head.headers.get("etag") == got.headers.get("etag")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(got.content)))


async def test_only_json_is_answered(client: Client) -> None:
    headers = {**client.bearer(), "accept": "application/xml"}
    refused(await client.http.get("/v1/notes", headers=headers), 406, "not-acceptable")
    for accept in ("*/*", "application/json", "application/*;q=0.1", "text/html, */*;q=0.8"):
        assert (await client.http.get("/v1/notes", headers={**headers, "accept": accept})).status_code == 200


@pytest.mark.parametrize(
    ("path", "kind", "accepted"),
    [
        ("qr.png", "image/png", True),
        ("qr.svg", "image/*", True),
        ("qr.png", "image/svg+xml", False),
        ("qr", "image/png", False),
    ],
)
async def test_pictures_may_be_accepted_where_a_path_names_one(
    client: Client, path: str, kind: str, accepted: bool
) -> None:
    answer = await client.http.get(f"/v1/notes/{path}", headers={**client.bearer(), "accept": kind})
    assert (answer.status_code != 406) is accepted


async def test_the_request_id_is_the_clients_if_it_is_sane(client: Client) -> None:
    answer = await client.http.get("/livez", headers={"x-request-id": "job-7.a_B"})
    assert answer.headers["x-request-id"] == "job-7.a_B"
    for strange in ("a b", "x" * 65, "<script>", "é"):
        answer = await client.http.get("/livez", headers=[(b"x-request-id", strange.encode())])
        assert answer.headers["x-request-id"] != strange
        assert len(answer.headers["x-request-id"]) == 36


async def test_a_refusal_of_the_service_is_a_problem_with_its_extras(client: Client) -> None:
    async def act() -> None:
        raise Conflict("community-full", "The community has no room.", capacity=3, status=200)

    client.service.act = act
    assert refused(await client.post(GOOD), 409, "community-full")["capacity"] == 3


async def test_unavailable_says_when_to_come_back(client: Client) -> None:
    async def act() -> None:
        raise Unavailable("not-caught-up", "Not there yet.", retry_after_seconds=7)

    client.service.act = act
    response = await client.post(GOOD)
    refused(response, 503, "not-caught-up")
    assert response.headers["retry-after"] == "7"


async def test_a_bug_tells_nothing_but_the_request_id(client: Client) -> None:
    async def act() -> None:
        raise ZeroDivisionError("the secret of /etc/qunli")

    client.service.act = act
    response = await client.post(GOOD)
    refused(response, 500, "internal-error")
    assert "secret" not in response.text and "Traceback" not in response.text and "ZeroDivision" not in response.text


async def test_a_request_that_hangs_is_answered_in_time(client: Client) -> None:
    async def act() -> None:
        await asyncio.sleep(30)

    client.service.act = act
    response = await asyncio.wait_for(client.post(GOOD), 5)
    refused(response, 503, "deadline-exceeded")
    assert int(response.headers["retry-after"]) >= 1


async def test_a_client_that_goes_away_gets_nothing_and_nothing_happens(client: Client) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    request = httpx.Request("POST", "http://toy/v1/notes", content=GOOD, headers=client.bearer())
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/notes",
        "raw_path": b"/v1/notes",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    await client.app(scope, receive, send)
    assert (sent, client.service.got) == ([], [])
