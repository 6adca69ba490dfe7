"""What the clients of a world know of it, from episode to episode."""

from dataclasses import dataclass, field


@dataclass
class Person:
    """A member, with the tokens of the join, and by whom the member came."""

    name: str
    token: str
    referrer: str | None


@dataclass
class Made:
    """Something that can be commented on, shared, removed or refunded."""

    id: str
    by: Person
    token: str
    code: str = ""
    left: int = 0


@dataclass
class Scene:
    """What the clients of a world know, from episode to episode.

    Attributes:
        community: its id; token: of its launch.
        invitations: code, and whose it is.
        settled_posts: none of them is going to be removed.
    """

    community: str = ""
    token: str = ""
    people: list[Person] = field(default_factory=list)
    invitations: list[tuple[str, Person]] = field(default_factory=list)
    posts: list[Made] = field(default_factory=list)
    shares: list[Made] = field(default_factory=list)
    purchases: list[Made] = field(default_factory=list)
