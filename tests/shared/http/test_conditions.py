"""Idempotency keys, preconditions, consistency tokens, pages: what requests say besides their body."""

import hashlib

import pytest

from shared.errors import BadRequest
from shared.http.pages import Int64, decode_cursor, encode_cursor
from shared.position import Position, Token
from tests.shared.http.test_edge import GOOD, refused
from tests.shared.http.toy import Client

NOTE = "/v1/notes/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"


async def test_a_key_is_bound_to_caller_route_and_body(client: Client) -> None:
    assert (await client.post(GOOD, idempotency_key="k-7")).status_code == 201
    _, _, key = client.service.got[0]
    assert (key.caller, key.key, key.route, key.keep) == ("acme/ana", "k-7", "POST /v1/notes", False)
    assert key.body_hash == hashlib.sha256(GOOD.encode()).digest()


async def test_a_post_needs_a_key(client: Client) -> None:
    headers = {"content-type": "application/json", **client.bearer()}
    response = await client.http.post("/v1/notes", content=GOOD, headers=headers)
    refused(response, 400, "idempotency-key-missing")
    assert client.service.got == []


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\x7f", "\xe9", "a\tb"])
async def test_a_key_is_visible_ascii(client: Client, key: str) -> None:
    headers = {"content-type": "application/json", "idempotency-key": key.encode("latin-1"), **client.bearer()}
    response = await client.http.post("/v1/notes", content=GOOD, headers=headers)  # type: ignore[arg-type]
    refused(response, 400, "idempotency-key-malformed")


async def test_the_longest_key_passes(client: Client) -> None:
    assert (await client.post(GOOD, idempotency_key="!" + "~" * 254)).status_code == 201


async def test_an_edit_needs_the_version_it_means(client: Client) -> None:
    response = await client.http.put(NOTE, json={"title": "a"}, headers=client.bearer())
    refused(response, 428, "if-match-missing")


@pytest.mark.parametrize(
    "tag", ["*", "3", 'W/"3"', '"3", "4"', '"x"', '"-1"', '"03"', '"' + "9" * 19 + '"', '""', '"3"x', '"٣"']
)
async def test_if_match_takes_one_strong_etag(client: Client, tag: str) -> None:
    headers = {**client.bearer(), "if-match": tag.encode()}
    response = await client.http.put(NOTE, json={"title": "a"}, headers=headers)  # type: ignore[arg-type]
    refused(response, 400, "if-match-malformed")


async def test_an_edit_answers_the_next_version(client: Client) -> None:
    response = await client.http.put(NOTE, json={"title": "a"}, headers={**client.bearer(), "if-match": '"3"'})
    assert (response.status_code, response.headers["etag"]) == (200, '"4"')
    assert response.headers["idempotency-replayed"] == "true"
    assert "consistency-token" not in response.headers


async def test_a_read_that_changed_nothing_is_304(client: Client) -> None:
    fresh = await client.http.get(NOTE, headers=client.bearer())
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"7"')
    for tag in ('"7"', 'W/"7"', '"1", "7"', "*"):
        again = await client.http.get(NOTE, headers={**client.bearer(), "if-none-match": tag})
        assert (again.status_code, again.headers["etag"], again.content) == (304, '"7"', b"")
    other = await client.http.get(NOTE, headers={**client.bearer(), "if-none-match": '"6"'})
    assert other.status_code == 200


async def test_consistency_tokens_are_waited_for(client: Client) -> None:
    tokens = [Token("membership", 7, Position(1, 4711, 3)), Token("content", 0, Position(2, 5, 6))]
    headers = [("consistency-token", str(tokens[0])), ("consistency-token", str(tokens[1]))]
    response = await client.http.get(NOTE, headers=[*client.bearer().items(), *headers])
    assert response.status_code == 200
    assert client.service.passed.waited == [tokens]
    assert (await client.http.get(NOTE, headers=client.bearer())).status_code == 200
    assert len(client.service.passed.waited) == 1


@pytest.mark.parametrize("header", ["", "x", "membership.7", "membership.x.1-2-3", "a.1.1-2-3," * 3, "a.1.1-2-\xb2"])
async def test_a_malformed_token_is_refused(client: Client, header: str) -> None:
    headers = {**client.bearer(), "consistency-token": header.encode("latin-1")}
    refused(await client.http.get(NOTE, headers=headers), 400, "consistency-token-malformed")  # type: ignore[arg-type]


async def test_too_many_tokens_are_refused(client: Client) -> None:
    headers = {**client.bearer(), "consistency-token": ",".join(["a.1.1-2-3"] * 65)}
    refused(await client.http.get(NOTE, headers=headers), 400, "consistency-token-malformed")


async def test_pages_are_followed_to_the_end(client: Client) -> None:
    path, titles, pages = "/v1/notes?about=a%26b&limit=20", [], 0
    while path is not None:
        page = (await client.http.get(path, headers=client.bearer())).json()
        titles += [item["title"] for item in page["items"]]
        assert page["next"] is None or page["next"].startswith("/v1/notes?about=a%26b&limit=20&after=")
        path, pages = page["next"], pages + 1
    assert titles == [str(number) for number in range(45)]
    assert pages == 3


@pytest.mark.parametrize(
    "cursor", ["x", "%F0%9F%98%80", "bnVsbA", encode_cursor((2**63, "a")), encode_cursor(("a", 1))]
)
async def test_a_cursor_that_was_made_up_is_refused(client: Client, cursor: str) -> None:
    refused(await client.http.get(f"/v1/notes?after={cursor}", headers=client.bearer()), 400, "cursor-malformed")


def test_cursors_hold_what_was_put_in_and_no_nul() -> None:
    place = (-(2**63), "é/…", None)
    assert decode_cursor(encode_cursor(place), tuple[Int64, str, None]) == place
    with pytest.raises(BadRequest):
        decode_cursor(encode_cursor((1, "a\x00")), tuple[Int64, str])
