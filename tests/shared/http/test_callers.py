"""Who a request is for, and who may not ask."""

import pytest

from shared.http.callers import Caller, Person
from tests.shared.http.test_edge import GOOD, refused
from tests.shared.http.toy import Client


async def test_a_person_calls_for_itself(client: Client) -> None:
    answer = await client.http.get("/v1/whoami", headers=client.bearer("ana"))
    assert answer.json() == {
        "organization": "acme",
        "subject": "ana",
        "person": "ana",
        "importing": False,
        "key": "acme/ana",
    }


async def test_no_token_is_401_with_a_challenge(client: Client) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic YTpi"}):
        response = await client.http.get("/v1/whoami", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer ")
        refused(response, 401, response.json()["type"].removeprefix("/problems/"))


async def test_who_is_asked_before_what_is_sent(client: Client) -> None:
    response = await client.http.post("/v1/notes", json={"nonsense": 1})
    refused(response, 401, "token-missing")


async def test_an_expired_token_says_so(client: Client) -> None:
    response = await client.http.get("/v1/whoami", headers=client.bearer(ttl=-60))
    refused(response, 401, "token-expired")


async def test_a_machine_is_no_person(client: Client) -> None:
    for scope in ("import", "scores:read", "openid purchases:write"):
        headers = client.bearer("robot", scope=scope)
        assert (await client.http.get("/v1/whoami", headers=headers)).json()["person"] is None
        refused(await client.post(GOOD, **headers), 403, "person-required")
    headers = client.bearer("robot", client_id="robot")
    refused(await client.post(GOOD, **headers), 403, "person-required")
    assert client.service.got[-1] is None  # whoami only


async def test_an_import_acts_for_a_person(client: Client) -> None:
    headers = {**client.bearer("robot", scope="import"), "acting-person": "b%C3%A9a"}
    answer = await client.http.get("/v1/whoami", headers=headers)
    assert answer.json() == {
        "organization": "acme",
        "subject": "robot",
        "person": "béa",
        "importing": True,
        "key": "acme/robot/béa",
    }
    assert (await client.post(GOOD, **headers)).status_code == 201
    _, caller, key = client.service.got[-1]
    assert (caller.person, key.caller, key.keep) == ("béa", "acme/robot/béa", True)


async def test_others_do_not_act_for_a_person(client: Client) -> None:
    for headers in (client.bearer("ana"), client.bearer("robot", scope="scores:read")):
        response = await client.http.get("/v1/whoami", headers={**headers, "acting-person": "bea"})
        refused(response, 403, "acting-person-not-allowed")


@pytest.mark.parametrize("person", ["", "a" * 65, "%00", "%ED%A0%80", "\xe9"])
async def test_the_acting_person_must_be_one(client: Client, person: str) -> None:
    headers = {**client.bearer("robot", scope="import"), "acting-person": person.encode("latin-1")}
    refused(await client.http.get("/v1/whoami", headers=headers), 400, "acting-person-malformed")  # type: ignore[arg-type]


async def test_a_scope_is_required_where_it_is(client: Client) -> None:
    response = await client.http.delete("/v1/rules", headers=client.bearer())
    assert refused(response, 403, "scope-missing")["scope"] == "rules:write"
    answer = await client.http.delete("/v1/rules", headers=client.bearer("robot", scope="rules:write"))
    assert (answer.status_code, answer.content) == (204, b"")


def test_keys_of_different_callers_differ() -> None:
    def caller(organization: str, subject: str) -> str:
        return Caller(organization, subject, None, frozenset()).key

    assert caller("a/b", "c") != caller("a", "b/c")
    assert caller("a", "b%2Fc") != caller("a", "b/c")
    acting = Person("a", "b", "c", frozenset(), importing=True)
    assert acting.key not in {caller("a", "b/c"), caller("a", "b"), caller("a/b", "c")}
