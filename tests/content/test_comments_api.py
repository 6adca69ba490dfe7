"""Comments as their callers see them."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg

from services.content.floors import FOLD
from tests.content.calls import items, messages, published, reason, stored
from tests.content.conftest import Hear
from tests.content.heard import left
from tests.support.serving import Client, Served


async def commented(author: Client, post: str, **changes: Any) -> dict[str, Any]:
    answer = await author.post(f"{post}/comments", {"body": "I do.", **changes})
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def test_a_member_comments_and_members_read(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    post = await published(bo)
    answer = await cy.post(f"{post}/comments", {"body": " I do.\n"})
    assert answer.status_code == 201
    body = answer.json()
    id = body["id"]
    assert {name: body[name] for name in ("post", "author", "floor", "parent", "body", "removed", "version")} == {
        "post": post.rsplit("/", 1)[1],
        "author": "cy",
        "floor": 1,
        "parent": None,
        "body": " I do.\n",
        "removed": False,
        "version": 1,
    }
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/content/v1/comments/{id}", '"1"')
    assert answer.headers["consistency-token"].startswith("content.")
    read = await bo.get(f"/v1/comments/{id}")
    assert (read.content, read.headers["etag"]) == (answer.content, '"1"')
    assert (await bo.get(f"{post}/comments")).json() == {"items": [body], "next": None}
    assert (await bo.get(post)).json()["comments"] == 1


async def test_replies_are_one_level_deep(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    post, other = await published(bo), await published(bo)
    first = await commented(cy, post)
    reply = await commented(bo, post, parent=first["id"])
    assert (reply["floor"], reply["parent"]) == (2, first["id"])
    deeper = await cy.post(f"{post}/comments", {"body": "!", "parent": reply["id"]})
    assert reason(deeper) == (422, "parent-is-reply")
    assert deeper.json()["parent"] == first["id"]
    for parent in (first["id"].replace("0", "1"), (await commented(cy, other))["id"]):
        assert reason(await cy.post(f"{post}/comments", {"body": "!", "parent": parent})) == (422, "parent-not-found")
    assert (await commented(cy, post))["floor"] == 3


async def test_floors_have_no_gaps_under_parallel_comments_of_which_some_are_refused(runners: Served) -> None:
    post = await published(runners.person("bo"))
    first = await commented(runners.person("bo"), post)
    reply = await commented(runners.person("bo"), post, parent=first["id"])

    def comment(number: int) -> Any:
        match number % 5:
            case 0:
                return runners.person("dan").post(f"{post}/comments", {"body": "!"})  # no member
            case 1:
                return runners.person("cy").post(f"{post}/comments", {"body": "!", "parent": reply["id"]})
            case _:
                return runners.person(("ana", "bo", "cy")[number % 3]).post(f"{post}/comments", {"body": str(number)})

    answers = await asyncio.gather(*(comment(number) for number in range(80)))
    assert Counter(answer.status_code for answer in answers) == {201: 48, 403: 16, 422: 16}
    floors = sorted(answer.json()["floor"] for answer in answers if answer.status_code == 201)
    assert floors == list(range(3, 51))
    thread = await items(runners.person("cy"), f"{post}/comments?limit=7")
    assert [item["floor"] for item in thread] == list(range(1, 51))
    assert (await runners.person("cy").get(post)).json()["comments"] == 50


async def test_floors_are_given_in_commit_order(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    await asyncio.gather(*(commented(bo, post) for _ in range(60)))
    sent = [data["floor"] for type_name, data in await messages(runners) if type_name == "content.comment-added.v1"]
    assert sent == list(range(1, 61))


async def test_two_processes_give_one_floor_once(runners: Served, second: Served) -> None:
    """Each with a memory of its own of how many floors were given."""
    bo, cy = runners.person("bo"), second.person("cy")
    post = await published(bo)
    for caller in (bo, cy, bo, bo, cy, cy):
        await commented(caller, post)
    found = await asyncio.gather(*(commented(caller, post) for _ in range(20) for caller in (bo, cy)))
    assert sorted(item["floor"] for item in found) == list(range(7, 47))


async def test_a_hot_post_is_loaded_from_a_snapshot(runners: Served, second: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    count = FOLD.snapshot_every + 5
    await asyncio.gather(*(commented(bo, post) for _ in range(count)))
    connection = await asyncpg.connect(runners.dsn)
    try:
        kept = await connection.fetchval(
            "select version from snapshots where stream_id = $1", f"floors-{post.rsplit('/', 1)[1]}"
        )
    finally:
        await connection.close()
    assert kept >= FOLD.snapshot_every
    assert (await commented(second.person("cy"), post))["floor"] == count + 1


async def test_a_removed_comment_keeps_its_place_without_its_words(runners: Served) -> None:
    ana, bo, cy = runners.person("ana"), runners.person("bo"), runners.person("cy")
    post = await published(bo)
    first, second, third = [await commented(cy, post, body=f"Body {number}") for number in range(3)]
    path = f"/v1/comments/{second['id']}"
    assert reason(await cy.delete(path)) == (428, "if-match-missing")
    assert reason(await bo.delete(path, If_Match='"1"')) == (403, "not-the-author")
    assert reason(await cy.delete(path, If_Match='"2"')) == (412, "version-changed")
    answer = await cy.delete(path, If_Match='"1"')
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await cy.delete(path, If_Match='"1"')).status_code == 204
    assert (await ana.delete(f"/v1/comments/{third['id']}", If_Match='"1"')).status_code == 204
    thread = await items(bo, f"{post}/comments")
    assert [(item["floor"], item["body"], item["removed"]) for item in thread] == [
        (1, "Body 0", False),
        (2, None, True),
        (3, None, True),
    ]
    assert (await bo.get(path)).json() == thread[1]
    assert (await bo.get(post)).json()["comments"] == 1
    assert (await commented(cy, post))["floor"] == 4
    gone = await cy.post(f"{post}/comments", {"body": "!", "parent": second["id"]})
    assert reason(gone) == (409, "comment-removed")
    removed = [data for type_name, data in await messages(runners) if type_name == "content.comment-removed.v1"]
    assert [(data["floor"], data["removed_by"], data["author"]) for data in removed] == [
        (2, "cy", "cy"),
        (3, "ana", "cy"),
    ]
    assert removed[0]["act_occurred_at"] == second["occurred_at"]
    assert first["floor"] == 1


async def test_nobody_comments_on_a_post_that_does_not_stand(runners: Served) -> None:
    ana, bo, cy = runners.person("ana"), runners.person("bo"), runners.person("cy")
    post = await published(bo)
    comment = await commented(cy, post)
    await ana.post(f"{post}/hide")
    assert reason(await cy.post(f"{post}/comments", {"body": "!"})) == (409, "post-hidden")
    for path in (f"{post}/comments", f"/v1/comments/{comment['id']}"):
        assert reason(await cy.get(path)) == (404, "post-hidden")
    await ana.post(f"{post}/unhide")
    await bo.delete(post, If_Match='"3"')
    assert reason(await cy.post(f"{post}/comments", {"body": "!"})) == (409, "post-removed")
    assert (await cy.delete(f"/v1/comments/{comment['id']}", If_Match='"1"')).status_code == 204


async def test_a_comment_and_a_removal_of_its_post_that_race_do_not_both_miss_each_other(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    for _ in range(5):
        post = await published(bo)
        comments = [cy.post(f"{post}/comments", {"body": "!"}) for _ in range(5)]
        removal, *answers = await asyncio.gather(bo.delete(post, If_Match='"1"'), *comments)
        assert removal.status_code == 204
        assert {answer.status_code for answer in answers} <= {201, 409}
    types = [type_name for type_name, _ in await messages(runners)]
    assert types.count("content.post-removed.v1") == 5
    removed: set[str] = set()
    for type_name, data in await messages(runners):
        if type_name == "content.post-removed.v1":
            removed.add(data["post"])
        elif type_name == "content.comment-added.v1":
            assert data["post"] not in removed


async def test_who_left_takes_a_comment_back_and_adds_none(runners: Served, hear: Hear) -> None:
    cy = runners.person("cy")
    post = await published(runners.person("bo"))
    comment = await commented(cy, post)
    await hear(left("cy"))
    assert reason(await cy.post(f"{post}/comments", {"body": "!"})) == (403, "not-a-member")
    assert reason(await cy.get(f"{post}/comments")) == (403, "not-a-member")
    assert (await cy.delete(f"/v1/comments/{comment['id']}", If_Match='"1"')).status_code == 204


async def test_an_import_comments_for_a_person_and_states_when(runners: Served) -> None:
    post = await published(runners.person("bo"))
    importer = runners.machine("import", acting="cy")
    stated = {"body": "I do.", "occurred_at": "2010-07-28T17:00:00Z"}
    first = await importer.post(f"{post}/comments", stated, key="comment-1")
    assert (first.status_code, first.json()["occurred_at"]) == (201, "2010-07-28T17:00:00.000000Z")
    assert (await importer.post(f"{post}/comments", stated, key="comment-1")).content == first.content
    assert reason(await runners.person("cy").post(f"{post}/comments", stated)) == (403, "occurred-at-not-allowed")
    (sent,) = [data for type_name, data in await messages(runners) if type_name == "content.comment-added.v1"]
    assert (sent["occurred_at"], sent["local_day"]) == ("2010-07-28T17:00:00Z", "2010-07-29")
    connection = await asyncpg.connect(runners.dsn)
    try:
        assert await connection.fetchval("select expires_at from idempotency_keys where key = 'comment-1'") is None
    finally:
        await connection.close()


async def test_another_organization_sees_no_comments(runners: Served) -> None:
    post = await published(runners.person("bo"))
    comment = f"/v1/comments/{(await commented(runners.person('cy'), post))['id']}"
    stranger = runners.person("cy", organization="umbrella")
    missing = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff"
    for known, unknown, kind in (
        (post, f"/v1/posts/{missing}", "post"),
        (comment, f"/v1/comments/{missing}", "comment"),
    ):
        for path in (known, unknown):
            if kind == "post":
                refused = [
                    await stranger.get(f"{path}/comments"),
                    await stranger.post(f"{path}/comments", {"body": "!"}),
                ]
            else:
                refused = [await stranger.get(path), await stranger.delete(path, If_Match='"1"')]
            assert {reason(answer) for answer in refused} == {(404, f"{kind}-not-found")}
    assert await stored(runners) == ["post-published.v1", "floor-given.v1", "comment-added.v1"]


async def test_a_comment_that_breaks_a_rule_is_refused_and_says_where(runners: Served) -> None:
    post = await published(runners.person("bo"))
    for change in ({"body": ""}, {"body": " \n"}, {"body": "x" * 20_001}, {"parent": "first"}, {"floor": 1}):
        answer = await runners.person("cy").post(f"{post}/comments", {"body": "I do.", **change})
        assert reason(answer) == (422, "invalid-request"), change
    assert await stored(runners) == ["post-published.v1"]
    for cursor in ("AAAA", "WzFd", "ImEi"):
        assert reason(await runners.person("cy").get(f"{post}/comments?after={cursor}")) == (400, "cursor-malformed")
