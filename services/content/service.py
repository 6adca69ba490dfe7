"""The content service: its use cases, by aggregate."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from services.content.homes import Homes
from services.content.usecases.comments import Comments
from services.content.usecases.links import Links
from services.content.usecases.posts import Posts
from services.content.usecases.reactions import Reactions
from services.content.usecases.shares import Shares
from shared.messaging.progress import Progress
from shared.service import Kernel


@dataclass(frozen=True)
class Content:
    """The service."""

    posts: Posts
    comments: Comments
    reactions: Reactions
    shares: Shares
    links: Links
    passed: Progress
    ready: Callable[[], Awaitable[list[str]]]

    @classmethod
    def of(cls, kernel: Kernel) -> Self:
        """The service on this kernel."""
        desk = (kernel.gateway, kernel.reader, Homes(kernel.reader))
        return cls(
            posts=Posts(*desk),
            comments=Comments(*desk),
            reactions=Reactions(*desk),
            shares=Shares(*desk),
            links=Links(*desk),
            passed=kernel.passed,
            ready=kernel.ready,
        )
