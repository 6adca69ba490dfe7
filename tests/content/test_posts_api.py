"""Reviews, announcements, history, and posts that are withdrawn and restored, as callers see them."""

import asyncio

import asyncpg
import msgspec
import pytest

from tests.content.calls import FEED, messages, published, reason, titles
from tests.content.conftest import Hear
from tests.content.heard import granted, left, revoked
from tests.support.serving import Served


async def test_a_review_shows_its_rating(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo, kind="review", rating=4)
    assert (await bo.get(post)).json()["rating"] == 4
    changed = await bo.patch(post, {"rating": 5}, If_Match='"1"')
    assert (changed.status_code, changed.json()["rating"]) == (200, 5)
    assert (await bo.get(post)).content == changed.content
    assert reason(await bo.patch(post, {"rating": None}, If_Match='"2"')) == (422, "invalid-request")
    text = await published(bo)
    assert reason(await bo.patch(text, {"rating": 5}, If_Match='"1"')) == (422, "rating-not-taken")


async def test_who_is_made_an_admin_may_announce_until_that_is_taken_back(runners: Served, hear: Hear) -> None:
    bo, announcement = runners.person("bo"), {"kind": "announcement", "body": "We start at five."}
    refused = await bo.post(FEED, announcement)
    assert reason(refused) == (403, "role-missing")
    assert refused.json()["roles"] == ["owner", "admin"]
    await hear(granted("bo", "admin", "admin", "member"))
    assert (await bo.post(FEED, announcement)).status_code == 201
    await hear(revoked("bo", "admin", "member"))
    assert reason(await bo.post(FEED, announcement)) == (403, "role-missing")


async def test_the_history_of_a_post_is_what_it_said(runners: Served, hear: Hear) -> None:
    bo, ana = runners.person("bo"), runners.person("ana")
    post = await published(bo, title="One")
    for version, body in enumerate(["Second", "Third", "Fourth"], start=1):
        await bo.patch(post, {"body": body}, If_Match=f'"{version}"')
    await ana.post(f"{post}/hide")
    await ana.post(f"{post}/unhide")
    await bo.patch(post, {"title": None}, If_Match='"6"')
    page = (await bo.get(f"{post}/history?limit=3")).json()
    assert [(item["version"], item["author"], item["title"], item["body"]) for item in page["items"]] == [
        (1, "bo", "One", "Who runs tomorrow?"),
        (2, "bo", "One", "Second"),
        (3, "bo", "One", "Third"),
    ]
    rest = (await bo.get(page["next"])).json()
    assert [(item["version"], item["title"], item["body"]) for item in rest["items"]] == [
        (4, "One", "Fourth"),
        (7, None, "Fourth"),
    ]
    assert rest["next"] is None
    instants = [item["occurred_at"] for item in page["items"] + rest["items"]]
    assert instants == sorted(instants)


async def test_the_history_is_for_the_author_and_staff_also_of_what_is_withdrawn(runners: Served, hear: Hear) -> None:
    post = await published(runners.person("bo"))
    assert (await runners.person("bo").delete(post, If_Match='"1"')).status_code == 204
    await hear(left("bo"))
    for reader in (runners.person("bo"), runners.person("ana"), runners.machine("import")):
        assert len((await reader.get(f"{post}/history")).json()["items"]) == 1
    for person in ("cy", "dan"):
        assert reason(await runners.person(person).get(f"{post}/history")) == (403, "not-the-author")
    assert reason(await runners.machine("scores:read").get(f"{post}/history")) == (403, "scope-missing")
    assert reason(await runners.person("bo", organization="umbrella").get(f"{post}/history")) == (404, "post-not-found")


async def test_a_hidden_post_is_seen_by_nobody_until_it_is_shown_again(runners: Served) -> None:
    ana, bo = runners.person("ana"), runners.person("bo")
    post = await published(bo, title="Hidden")
    assert reason(await bo.post(f"{post}/hide")) == (403, "role-missing")
    hidden = await ana.post(f"{post}/hide")
    assert (hidden.status_code, hidden.json()["hidden"], hidden.headers["etag"]) == (200, True, '"2"')
    for reader in (ana, bo, runners.person("cy")):
        assert reason(await reader.get(post)) == (404, "post-hidden")
        assert await titles(reader) == []
    assert (await ana.post(f"{post}/hide")).json() == hidden.json()
    shown = await ana.post(f"{post}/unhide")
    assert (shown.status_code, shown.json()["hidden"], shown.headers["etag"]) == (200, False, '"3"')
    assert (await bo.get(post)).content == shown.content
    assert await titles(bo) == ["Hidden"]


async def test_a_removed_post_is_restored_by_whoever_removed_it(runners: Served) -> None:
    ana, bo = runners.person("ana"), runners.person("bo")
    post = await published(bo, title="Back")
    await bo.delete(post, If_Match='"1"')
    assert reason(await ana.post(f"{post}/restore")) == (403, "removed-by-author")
    back = await bo.post(f"{post}/restore", key="back")
    assert (back.status_code, back.json()["removed"], back.json()["version"]) == (200, False, 3)
    assert (await bo.post(f"{post}/restore", key="back")).content == back.content
    assert (await bo.get(post)).content == back.content
    assert await titles(bo) == ["Back"]
    await ana.delete(post, If_Match='"3"')
    assert reason(await bo.post(f"{post}/restore")) == (403, "removed-by-staff")
    assert (await ana.post(f"{post}/restore")).status_code == 200


async def test_hidden_then_removed_is_one_withdrawal_and_one_restoration(runners: Served) -> None:
    ana, bo = runners.person("ana"), runners.person("bo")
    post = await published(bo)
    await ana.post(f"{post}/hide")
    assert (await bo.delete(post, If_Match='"2"')).status_code == 204
    unhidden = await ana.post(f"{post}/unhide")
    assert (unhidden.json()["removed"], unhidden.json()["hidden"]) == (True, False)
    assert reason(await bo.get(post)) == (404, "post-removed")
    restored = await bo.post(f"{post}/restore")
    assert (restored.json()["removed"], restored.json()["hidden"]) == (False, False)
    assert (await bo.get(post)).content == restored.content
    sent = await messages(runners)
    assert [type_name for type_name, _ in sent] == [
        "content.post-published.v1",
        "content.post-removed.v1",
        "content.post-restored.v1",
    ]
    act = {name: sent[0][1][name] for name in ("occurred_at", "local_day")}
    for _, data in sent[1:]:
        assert (data["author"], data["kind"]) == ("bo", "text")
        assert (data["act_occurred_at"], data["act_local_day"]) == (act["occurred_at"], act["local_day"])
    assert (sent[1][1]["removed_by"], sent[2][1]["restored_by"]) == ("ana", "bo")


@pytest.mark.parametrize("seed", range(3))
async def test_acts_that_race_withdraw_and_restore_in_turn(runners: Served, seed: int) -> None:
    ana, bo = runners.person("ana"), runners.person("bo")
    post = await published(bo)
    acts = [ana.post(f"{post}/hide"), ana.post(f"{post}/unhide"), bo.post(f"{post}/restore"), ana.post(f"{post}/hide")]
    acts += [bo.delete(post, If_Match=f'"{version}"') for version in range(1, 5)]
    acts += [ana.post(f"{post}/unhide"), bo.post(f"{post}/restore")]
    answers = await asyncio.gather(*(acts[(number * 7 + seed) % len(acts)] for number in range(len(acts))))
    assert {answer.status_code for answer in answers} <= {200, 204, 412}
    await ana.post(f"{post}/unhide")
    await bo.post(f"{post}/restore")
    assert (await bo.get(post)).status_code == 200
    told = [type_name.split(".")[1] for type_name, _ in await messages(runners)][1:]
    assert told[0::2] == ["post-removed"] * (len(told) // 2)
    assert told[1::2] == ["post-restored"] * (len(told) // 2)


async def test_a_batch_leaves_the_row_as_its_last_fact_does(runners: Served) -> None:
    """Facts of one post that are committed together."""
    ana, bo = runners.person("ana"), runners.person("bo")
    posts = [await published(bo) for _ in range(5)]
    await asyncio.gather(*(ana.post(f"{post}/{act}") for post in posts for act in ("hide", "unhide", "hide", "unhide")))
    for post in posts:
        last = await last_fact(runners, post)
        if last == "post-hidden.v1":
            assert reason(await bo.get(post)) == (404, "post-hidden")
            await ana.post(f"{post}/unhide")
        answer = await bo.get(post)
        assert (await bo.patch(post, {"body": "!"}, If_Match=answer.headers["etag"])).status_code == 200


async def last_fact(served: Served, post: str) -> str:
    """The type of a post's last fact."""
    connection = await asyncpg.connect(served.dsn)
    try:
        query = "select type from events where stream_id = $1 order by version desc limit 1"
        return str(await connection.fetchval(query, f"post-{post.rsplit('/', 1)[1]}"))
    finally:
        await connection.close()


async def test_no_message_says_what_was_written(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo, kind="review", rating=1, title="SECRET", body="SECRET", topics=["SECRET"])
    await bo.post(f"{post}/comments", {"body": "SECRET"})
    await bo.delete(post, If_Match='"1"')
    sent = await messages(runners)
    assert len(sent) == 3
    assert b"SECRET" not in msgspec.json.encode(sent)
