"""Who may do what in content: every role and every action of the one table."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import services.content
from shared.permissions import Action, Role, allowed
from tests.content.calls import FEED, published, reason
from tests.content.conftest import Hear
from tests.content.facts import RUNNERS
from tests.content.heard import joined
from tests.support.serving import Client, Served

Try = Callable[[Client, str, str], Awaitable[Any]]
"""Somebody tries something with a post and a comment of bo's."""

TRIES: dict[Action, list[Try]] = {
    Action.PUBLISH_POST: [lambda who, post, comment: who.post(FEED, {"body": "!"})],
    Action.PUBLISH_ANNOUNCEMENT: [
        lambda who, post, comment: who.post(FEED, {"kind": "announcement", "body": "!"}),
    ],
    Action.COMMENT: [lambda who, post, comment: who.post(f"{post}/comments", {"body": "!"})],
    Action.REACT: [
        lambda who, post, comment: who.post(f"{post}/reactions", {"kind": "like"}),
        lambda who, post, comment: who.post(f"{comment}/reactions", {"kind": "like"}),
    ],
    Action.SHARE: [
        lambda who, post, comment: who.post(
            f"/v1/communities/{RUNNERS}/shares", {"target_kind": "product", "target": "1", "channel": "weibo"}
        )
    ],
    Action.READ_POSTS: [
        lambda who, post, comment: who.get(FEED),
        lambda who, post, comment: who.get(post),
        lambda who, post, comment: who.get(f"{post}/comments"),
        lambda who, post, comment: who.get(comment),
    ],
    Action.HIDE_POST: [
        lambda who, post, comment: who.post(f"{post}/hide"),
        lambda who, post, comment: who.post(f"{post}/unhide"),
    ],
    Action.REMOVE_COMMENT_OF_OTHERS: [lambda who, post, comment: who.delete(comment, If_Match='"1"')],
    Action.REMOVE_POST_OF_OTHERS: [
        lambda who, post, comment: who.get(f"{post}/history"),
        lambda who, post, comment: who.delete(post, If_Match=f'"{VERSION}"'),
        lambda who, post, comment: who.post(f"{post}/restore"),
    ],
}
"""In an order in which each may be tried after the others."""

VERSION = 3
"""Of the post, once staff has hidden it and shown it again."""

REFUSED = {(403, "not-a-member"), (403, "role-missing"), (403, "not-the-author")}
"""The last one where the author may as well, whatever the role."""


@pytest.mark.parametrize("role", [*Role, None], ids=lambda role: role.value if role else "stranger")
async def test_what_the_table_says_is_what_happens(runners: Served, hear: Hear, role: Role | None) -> None:
    bo, who = runners.person("bo"), runners.person("who")
    if role is not None:
        await hear(joined("who", role))
    post = await published(bo)
    comment = f"/v1/comments/{(await bo.post(f'{post}/comments', {'body': '?'})).json()['id']}"
    for action, tries in TRIES.items():
        for attempt in tries:
            answer = await attempt(who, post, comment)
            if role is not None and allowed(action, [role]):
                assert answer.status_code in {200, 201, 204}, (action, answer.text)
            else:
                assert reason(answer) in REFUSED, (action, answer.text)


def test_every_action_that_content_asks_for_is_tried() -> None:
    code = "".join(path.read_text() for path in Path(services.content.__file__).parent.rglob("*.py"))
    assert set(TRIES) == {Action[name] for name in re.findall(r"\bAction\.([A-Z_]+)", code)}
