"""Content as its callers see it."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from services.content.messages import TYPES
from shared.http.models import format_instant
from tests.content.calls import FEED, TEXT, published, reason, stored, titles
from tests.content.conftest import Hear
from tests.content.facts import RUNNERS
from tests.content.heard import joined, left, of_community
from tests.support.serving import Served, check_documents


async def test_a_member_publishes_and_members_read(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    answer = await bo.post(
        FEED,
        {
            "kind": "image",
            "title": " Six o'clock ",
            "body": "  Who runs\ntomorrow?",
            "media": ["https://media.example/1.jpg"],
            "topics": ["running"],
        },
    )
    assert answer.status_code == 201
    body = answer.json()
    id = body.pop("id")
    assert datetime.now(UTC) - datetime.fromisoformat(body.pop("occurred_at")) < timedelta(minutes=1)
    assert body == {
        "community": RUNNERS,
        "author": "bo",
        "kind": "image",
        "title": "Six o'clock",
        "body": "  Who runs\ntomorrow?",
        "media": ["https://media.example/1.jpg"],
        "topics": ["running"],
        "rating": None,
        "edited_at": None,
        "removed": False,
        "hidden": False,
        "comments": 0,
        "reactions": {},
        "version": 1,
    }
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/content/v1/posts/{id}", '"1"')
    assert answer.headers["consistency-token"].startswith("content.")
    read = await cy.get(f"/v1/posts/{id}")
    assert (read.content, read.headers["etag"]) == (answer.content, '"1"')
    assert (await cy.get(FEED)).json() == {"items": [answer.json()], "next": None}


async def test_the_right_to_write_comes_from_the_replica(content: Served, hear: Hear) -> None:
    ana, bo = content.person("ana"), content.person("bo")
    assert reason(await bo.post(FEED, TEXT)) == (404, "community-not-found")
    await hear(of_community("community-founded"))
    assert reason(await ana.post(FEED, TEXT)) == (403, "not-a-member")
    await hear(joined("ana", "owner", "member", status="draft"))
    assert reason(await ana.post(FEED, TEXT)) == (409, "community-not-launched")
    await hear(of_community("community-launched"))
    assert (await ana.post(FEED, TEXT)).status_code == 201
    assert reason(await bo.post(FEED, TEXT)) == (403, "not-a-member")
    await hear(joined("bo"))
    assert (await bo.post(FEED, TEXT)).status_code == 201
    await hear(left("bo"))
    assert reason(await bo.post(FEED, TEXT)) == (403, "not-a-member")
    await hear(joined("bo"))
    assert (await bo.post(FEED, TEXT)).status_code == 201


async def test_a_feed_is_for_active_members_and_imports(runners: Served, hear: Hear) -> None:
    post = await published(runners.person("bo"))
    for path in (FEED, post):
        assert reason(await runners.person("dan").get(path)) == (403, "not-a-member")
        assert reason(await runners.machine("scores:read").get(path)) == (403, "scope-missing")
        assert (await runners.machine("import").get(path)).status_code == 200
        assert (await runners.machine("import", acting="dan").get(path)).status_code == 200
        assert (await runners.person("ana").get(path)).status_code == 200
    await hear(left("cy"))
    assert reason(await runners.person("cy").get(FEED)) == (403, "not-a-member")


async def test_a_foreign_organization_sees_nothing(runners: Served) -> None:
    post = await published(runners.person("bo"))
    missing_feed = FEED.replace(RUNNERS, "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff")
    missing_post = "/v1/posts/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff"
    for caller in (
        runners.person("bo", organization="umbrella"),
        runners.machine("import", organization="umbrella", acting="bo"),
    ):
        for answers in (
            (await caller.get(FEED), await caller.get(missing_feed)),
            (await caller.post(FEED, TEXT), await caller.post(missing_feed, TEXT)),
        ):
            assert {reason(answer) for answer in answers} == {(404, "community-not-found")}
        for answers in (
            (await caller.get(post), await caller.get(missing_post)),
            (await caller.patch(post, TEXT, If_Match='"1"'), await caller.patch(missing_post, TEXT, If_Match='"1"')),
            (await caller.delete(post, If_Match='"1"'), await caller.delete(missing_post, If_Match='"1"')),
        ):
            assert {reason(answer) for answer in answers} == {(404, "post-not-found")}
            assert len({answer.json()["detail"] for answer in answers}) == 1
    assert await stored(runners) == ["post-published.v1"]


async def test_an_edit_needs_the_version_it_changes(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo, title="One")
    assert reason(await bo.patch(post, {"title": "Two"})) == (428, "if-match-missing")
    assert reason(await bo.patch(post, {"title": "Two"}, If_Match="1")) == (400, "if-match-malformed")
    assert reason(await bo.patch(post, {"title": "Two"}, If_Match='"2"')) == (412, "version-changed")
    answer = await bo.patch(post, {"title": "Two"}, If_Match='"1"')
    assert (answer.status_code, answer.headers["etag"], answer.json()["title"]) == (200, '"2"', "Two")
    assert (answer.json()["body"], answer.json()["edited_at"] is None) == ("Who runs tomorrow?", False)
    read = await bo.get(post)
    assert (read.content, read.headers["etag"]) == (answer.content, '"2"')
    assert reason(await bo.patch(post, {"title": "Three"}, If_Match='"1"')) == (412, "version-changed")
    same = await bo.patch(post, {"title": "Two"}, If_Match='"2"')
    assert (same.status_code, same.content, same.headers["etag"]) == (200, answer.content, '"2"')
    gone = await bo.patch(post, {"title": None}, If_Match='"2"')
    assert (gone.json()["title"], gone.headers["etag"]) == (None, '"3"')
    assert await stored(runners) == ["post-published.v1", "post-edited.v1", "post-edited.v1"]


async def test_of_parallel_edits_of_one_version_one_wins(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    answers = await asyncio.gather(
        *(bo.patch(post, {"body": f"Edit {number}"}, If_Match='"1"') for number in range(10))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 9}
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    assert (await bo.get(post)).content == winner.content


async def test_an_edit_and_a_removal_of_one_version_do_not_both_happen(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    edit, removal = await asyncio.gather(
        bo.patch(post, {"body": "New"}, If_Match='"1"'), bo.delete(post, If_Match='"1"')
    )
    assert (edit.status_code, removal.status_code) in {(200, 412), (409, 204)}


async def test_only_the_author_edits(runners: Served, hear: Hear) -> None:
    post = await published(runners.person("bo"))
    for person in ("ana", "cy", "dan"):
        answer = await runners.person(person).patch(post, {"body": "!"}, If_Match='"1"')
        assert reason(answer) == (403, "not-the-author")
    await hear(left("bo"))
    assert reason(await runners.person("bo").patch(post, {"body": "!"}, If_Match='"1"')) == (403, "not-a-member")


async def test_a_removed_post_is_gone(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    post, kept = await published(bo, title="Gone"), await published(bo, title="Kept")
    assert reason(await bo.delete(post)) == (428, "if-match-missing")
    assert reason(await cy.delete(post, If_Match='"1"')) == (403, "not-the-author")
    assert reason(await bo.delete(post, If_Match='"2"')) == (412, "version-changed")
    answer = await bo.delete(post, If_Match='"1"')
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["consistency-token"].startswith("content.")
    for reader in (bo, cy):
        assert reason(await reader.get(post)) == (404, "post-removed")
        assert await titles(reader) == ["Kept"]
    assert reason(await bo.patch(post, {"body": "!"}, If_Match='"2"')) == (409, "post-removed")
    assert (await bo.delete(post, If_Match='"1"')).status_code == 204
    assert (await runners.person("ana").delete(kept, If_Match='"1"')).status_code == 204
    assert await stored(runners) == ["post-published.v1"] * 2 + ["post-removed.v1"] * 2


async def test_an_author_who_left_takes_a_post_back(runners: Served, hear: Hear) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    await hear(left("bo"))
    assert (await bo.delete(post, If_Match='"1"')).status_code == 204


async def test_a_repeat_is_answered_byte_for_byte(runners: Served) -> None:
    bo = runners.person("bo")
    first = await bo.post(FEED, TEXT, key="post-1")
    repeat = await bo.post(FEED, TEXT, key="post-1")
    assert (repeat.status_code, repeat.content) == (201, first.content)
    for name in ("etag", "location", "consistency-token"):
        assert repeat.headers[name] == first.headers[name]
    assert repeat.headers["idempotency-replayed"] == "true"
    assert reason(await bo.post(FEED, {"body": "Other"}, key="post-1")) == (422, "idempotency-key-reused")
    parallel = await asyncio.gather(*(bo.post(FEED, TEXT, key="post-2") for _ in range(10)))
    assert {answer.status_code for answer in parallel} <= {201, 409}
    assert await stored(runners) == ["post-published.v1"] * 2


async def test_a_feed_is_read_page_by_page_while_it_grows(runners: Served) -> None:
    bo, importer = runners.person("bo"), runners.machine("import", acting="cy")
    # Two pairs share an instant: the post id decides between them.
    days = ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-04", "2024-01-05"]
    for number, day in enumerate(days):
        await importer.post(FEED, {**TEXT, "title": f"t{number}", "occurred_at": f"{day}T00:00:00Z"})
    page = (await bo.get(f"{FEED}?limit=2")).json()
    assert [item["title"] for item in page["items"]] == ["t6", "t5"]
    await published(bo, title="newest")
    await importer.post(FEED, {**TEXT, "title": "between", "occurred_at": "2024-01-03T12:00:00Z"})
    assert await titles(bo, page["next"]) == ["t4", "between", "t3", "t2", "t1", "t0"]
    assert await titles(bo, f"{FEED}?limit=3") == ["newest", "t6", "t5", "t4", "between", "t3", "t2", "t1", "t0"]
    for cursor in ("AAAA", "WzFd", "WyIyMDI0LTAxLTAxVDAwOjAwOjAwIiwieCJd", "x" * 2000):
        assert (await bo.get(f"{FEED}?after={cursor}")).status_code in {400, 422}


async def test_an_import_states_when_a_post_was_written(runners: Served) -> None:
    importer = runners.machine("import", acting="cy")
    answer = await importer.post(FEED, {**TEXT, "occurred_at": "1996-12-31T23:30:00.5-01:00"})
    assert answer.json()["occurred_at"] == "1997-01-01T00:30:00.500000Z"
    ahead, soon = (format_instant(datetime.now(UTC) + timedelta(minutes=minutes)) for minutes in (6, 4))
    assert reason(await importer.post(FEED, {**TEXT, "occurred_at": ahead})) == (422, "occurred-at-in-future")
    assert (await importer.post(FEED, {**TEXT, "occurred_at": soon})).json()["occurred_at"] == soon
    assert reason(await runners.person("cy").post(FEED, {**TEXT, "occurred_at": soon})) == (
        403,
        "occurred-at-not-allowed",
    )
    assert reason(await runners.machine("import").post(FEED, TEXT)) == (403, "person-required")
    assert reason(await runners.machine("import", acting="dan").post(FEED, TEXT)) == (403, "not-a-member")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"body": ""}, "/body"),
    ({"body": " \n\t"}, "/body"),
    ({"body": "x" * 20_001}, "/body"),
    ({"body": None}, "/body"),
    ({"title": ""}, "/title"),
    ({"title": "x" * 201}, "/title"),
    ({"kind": "poem"}, "/kind"),
    ({"kind": "review", "rating": 0}, "/rating"),
    ({"kind": "review", "rating": 6}, "/rating"),
    ({"kind": "review", "rating": "5"}, "/rating"),
    ({"media": ["http://media.example/1.jpg"]}, "/media/0"),
    ({"media": ["https://"]}, "/media/0"),
    ({"media": ["https:///etc/passwd"]}, "/media/0"),
    ({"media": ["https://media.example/a b"]}, "/media/0"),
    ({"media": ["javascript:alert(1)"]}, "/media/0"),
    ({"media": ["https://media.example/" + "x" * 2048]}, "/media/0"),
    ({"media": ["https://media.example/1.jpg"] * 21}, "/media"),
    ({"topics": ["x"] * 11}, "/topics"),
    ({"topics": [" "]}, "/topics/0"),
    ({"occurred_at": "2026-03-01"}, "/occurred_at"),
    ({"occurred_at": "2026-03-01T09:00:00"}, "/occurred_at"),
    ({"occurred_at": 1770000000}, "/occurred_at"),
    ({"author": "ana"}, "/author"),
]


async def test_a_post_that_breaks_a_rule_is_refused_and_says_where(runners: Served) -> None:
    bo = runners.person("bo")
    for changes, pointer in BROKEN:
        answer = await bo.post(FEED, {**TEXT, **changes})
        assert reason(answer) == (422, "invalid-request"), changes
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert reason(await bo.post(FEED, {**TEXT, "kind": "video"})) == (422, "media-missing")
    assert reason(await bo.post(FEED, {**TEXT, "kind": "review"})) == (422, "rating-missing")
    assert await stored(runners) == []


async def test_an_edit_that_breaks_a_rule_is_refused(runners: Served) -> None:
    bo = runners.person("bo")
    post = await published(bo)
    for change in ({"body": None}, {"body": " "}, {"media": None}, {"topics": "x"}, {"kind": "link"}, {"author": "cy"}):
        assert reason(await bo.patch(post, change, If_Match='"1"')) == (422, "invalid-request"), change
    assert await stored(runners) == ["post-published.v1"]


async def test_what_somebody_wrote_is_kept_as_written(runners: Served) -> None:
    bo = runners.person("bo")
    for text in ("群力 — 加油!", "😀" * 10, "a\tb\r\nc\\\"'", "<script>alert(1)</script>", "x" * 20_000, "\u2028"):
        answer = await bo.post(FEED, {"body": f"!{text}"[:20_000]})
        assert answer.status_code == 201, text
        assert (await bo.get(f"/v1/posts/{answer.json()['id']}")).json()["body"] == f"!{text}"[:20_000]


async def test_a_message_carries_nothing_of_what_was_written(runners: Served) -> None:
    await published(runners.person("bo"), title="SECRET", body="SECRET", topics=["SECRET"])
    connection = await asyncpg.connect(runners.dsn)
    try:
        row = await connection.fetchrow("select key, headers, value from outbox")
    finally:
        await connection.close()
    assert row["key"] == "bo"
    assert b"SECRET" not in row["value"] and "SECRET" not in row["headers"]


async def test_the_documents_are_true(content: Served) -> None:
    await check_documents(content, TYPES)
