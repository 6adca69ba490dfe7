"""Making and using invitations."""

from datetime import timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from services.membership.invitation import FOLD, Invite, Use, invite, use
from services.membership.invitations import landing
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from tests.membership.facts import CODE, DRAFT, JOIN, NOW, OPEN, RUNNERS, created, used
from tests.support.gwt import given

LATER = NOW + timedelta(days=1)


def inviting(**changes: Any) -> Invite:
    command = Invite(invitation=CODE, inviter="ana", roles=("member",), max_uses=None, expires_at=None, now=NOW)
    return replace(command, **changes)


def using(person: str = "bo", **changes: Any) -> Use:
    return replace(Use(community=RUNNERS, person=person, join=JOIN, now=NOW), **changes)


def test_a_member_invites_into_a_draft_as_well() -> None:
    for community in (DRAFT, OPEN):
        given(FOLD).when(partial(invite, inviting(), community)).then(created())
    terms = {"max_uses": 3, "expires_at": LATER}
    given(FOLD).when(lambda state: invite(inviting(**terms), OPEN, state)).then(created(**terms))


def test_who_is_no_member_invites_nobody() -> None:
    given(FOLD).when(lambda state: invite(inviting(roles=()), OPEN, state)).then_refused(Forbidden, "not-a-member")


def test_an_invitation_that_has_expired_already_is_not_made() -> None:
    given(FOLD).when(lambda state: invite(inviting(expires_at=NOW), OPEN, state)).then_refused(
        Invalid, "expires-in-the-past"
    )


def test_a_code_is_given_once() -> None:
    given(FOLD, created()).when(lambda state: invite(inviting(), OPEN, state)).then_refused(Unavailable, "code-taken")


def test_uses_are_counted_up_to_the_last() -> None:
    twice = created(max_uses=2)
    given(FOLD, twice).when(lambda state: use(using(), state)).then(used("bo", 1))
    given(FOLD, twice, used("bo", 1)).when(lambda state: use(using("cy"), state)).then(used("cy", 2))
    given(FOLD, twice, used("bo", 1), used("cy", 2)).when(lambda state: use(using("di"), state)).then_refused(
        Conflict, "invitation-used-up"
    )


def test_without_a_limit_it_is_used_for_ever() -> None:
    uses = [used("bo", number) for number in range(1, 300)]
    given(FOLD, created(), *uses).when(lambda state: use(using(), state)).then(used("bo", 300))


def test_it_expires_to_the_microsecond() -> None:
    short = given(FOLD, created(expires_at=LATER))
    last = LATER - timedelta(microseconds=1)
    short.when(lambda state: use(using(now=last), state)).then(replace(used("bo", 1), occurred_at=last))
    short.when(lambda state: use(using(now=LATER), state)).then_refused(Conflict, "invitation-expired")


def test_it_opens_one_community() -> None:
    other = using(community="0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a11")
    refusal = given(FOLD, created()).when(lambda state: use(other, state)).then_refused(Invalid, "invitation-elsewhere")
    assert refusal.extras == {"community": RUNNERS}


def test_what_was_never_made_cannot_be_used() -> None:
    given(FOLD).when(lambda state: use(using(), state)).then_refused(NotFound, "invitation-not-found")


def test_the_landing_page_gets_the_code_beside_its_own_query() -> None:
    assert landing(None, CODE) == CODE
    assert landing("https://a.example", CODE) == f"https://a.example?invitation={CODE}"
    assert landing("https://a.example/p?b=1&c=#top", CODE) == f"https://a.example/p?b=1&c=&invitation={CODE}#top"
    assert landing("https://a.example/?invitation=old", CODE) == f"https://a.example/?invitation={CODE}"
