"""The streams of membership: what each is called, and how it is folded."""

from services.membership import community, invitation, member, places, referral
from shared.commands.command import Stream


def community_stream(id: str) -> Stream[community.State]:
    return Stream(f"community-{id}", community.FOLD)


def member_stream(id: str, person: str) -> Stream[member.State]:
    """A person in a community."""
    return Stream(f"member-{id}-{person}", member.FOLD)


def places_stream(id: str) -> Stream[places.Places]:
    """The places of a community with a capacity."""
    return Stream(f"places-{id}", places.FOLD)


def invitation_stream(code: str) -> Stream[invitation.State]:
    return Stream(f"invitation-{code}", invitation.FOLD)


def referral_stream(organization: str, person: str) -> Stream[referral.Referral]:
    """A person in an organization. The names of both may hold hyphens: those of the organization are escaped."""
    escaped = organization.replace("%", "%25").replace("-", "%2D")
    return Stream(f"referral-{escaped}-{person}", referral.FOLD)
