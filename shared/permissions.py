"""What each role of a community may do: one table for all services, shown in docs/permissions.md."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from shared.errors import Forbidden


class Role(StrEnum):
    """Roles of a member, the highest rank first. Nobody grants or revokes a role at or above the own rank."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Action(StrEnum):
    """What a member of a community may be allowed to do, by the service that decides it."""

    # membership
    LAUNCH_COMMUNITY = "launch_community"
    TRANSFER_OWNERSHIP = "transfer_ownership"
    GRANT_ADMIN = "grant_admin"
    REVOKE_ADMIN = "revoke_admin"
    CREATE_INVITATION = "create_invitation"
    READ_INVITATIONS_OF_OTHERS = "read_invitations_of_others"
    READ_MEMBERS = "read_members"
    # content
    PUBLISH_POST = "publish_post"
    PUBLISH_ANNOUNCEMENT = "publish_announcement"
    COMMENT = "comment"
    REACT = "react"
    SHARE = "share"
    READ_POSTS = "read_posts"
    HIDE_POST = "hide_post"
    REMOVE_POST_OF_OTHERS = "remove_post_of_others"
    REMOVE_COMMENT_OF_OTHERS = "remove_comment_of_others"
    # scoring
    READ_LEADERBOARDS = "read_leaderboards"


_OWNER = frozenset({Role.OWNER})
_STAFF = frozenset({Role.OWNER, Role.ADMIN})
_EVERYBODY = frozenset(Role)

PERMISSIONS: Mapping[Action, frozenset[Role]] = {
    Action.LAUNCH_COMMUNITY: _OWNER,
    Action.TRANSFER_OWNERSHIP: _OWNER,
    Action.GRANT_ADMIN: _OWNER,
    Action.REVOKE_ADMIN: _OWNER,
    Action.CREATE_INVITATION: _EVERYBODY,
    Action.READ_INVITATIONS_OF_OTHERS: _STAFF,
    Action.READ_MEMBERS: _EVERYBODY,
    Action.PUBLISH_POST: _EVERYBODY,
    Action.PUBLISH_ANNOUNCEMENT: _STAFF,
    Action.COMMENT: _EVERYBODY,
    Action.REACT: _EVERYBODY,
    Action.SHARE: _EVERYBODY,
    Action.READ_POSTS: _EVERYBODY,
    Action.HIDE_POST: _STAFF,
    Action.REMOVE_POST_OF_OTHERS: _STAFF,
    Action.REMOVE_COMMENT_OF_OTHERS: _STAFF,
    Action.READ_LEADERBOARDS: _EVERYBODY,
}
"""Which roles may do what. Authors edit and remove what is their own without a role."""


def allowed(action: Action, roles: Collection[str]) -> bool:
    """Whether somebody with these roles may do it; nobody without a role may do anything."""
    return not PERMISSIONS[action].isdisjoint(roles)


def require(action: Action, roles: Collection[str]) -> None:
    """Raises Forbidden `role-missing`, or `not-a-member` for somebody without any role."""
    if not roles:
        raise Forbidden("not-a-member", "Only active members of the community may do this. Join it first.")
    if not allowed(action, roles):
        wanted = [role.value for role in Role if role in PERMISSIONS[action]]
        raise Forbidden("role-missing", f"Only {' or '.join(wanted)} may do this.", roles=wanted)
