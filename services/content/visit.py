"""The visits of one visitor to one share: at most one on each local day, whatever happens on it."""

from datetime import date, datetime
from hashlib import blake2b

import msgspec

from services.content.events import ContentShared, ShareVisited
from services.content.stamps import stamp
from shared.codec import Codec
from shared.decider import Fold


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who opens a short link: a person, a browser or a crawler; exactly one of them is given.

    Attributes:
        person: of the share's organization.
        browser: a random id that the browser keeps.
        crawler: which program it is: all of one kind are one visitor, so that they cannot flood the store.
    """

    person: str | None = None
    browser: str | None = None
    crawler: str | None = None

    @property
    def key(self) -> str:
        """A short text of its own for every visitor."""
        kinds = (("person", self.person), ("browser", self.browser), ("crawler", self.crawler))
        kind, name = next((kind, name) for kind, name in kinds if name is not None)
        return f"{kind}-{blake2b(name.encode(), digest_size=16).hexdigest()}"


class Visits(msgspec.Struct, frozen=True):
    """`last`: the local day of the last visit; None: there was none."""

    last: date | None = None


def visit(shared: ContentShared, visitor: Visitor, state: Visits, *, now: datetime) -> list[ShareVisited]:
    """Record a visit; nothing to do if this visitor has been here today. The sharer's own and crawlers' do not count."""
    stamped = stamp(shared, now=now)
    if state.last is not None and stamped["local_day"] <= state.last:
        return []
    return [
        ShareVisited(
            **stamped,
            share=shared.share,
            code=shared.code,
            sharer=shared.sharer,
            visitor=visitor.person,
            crawler=visitor.crawler,
            counts=visitor.crawler is None and visitor.person != shared.sharer,
        )
    ]


def evolve(_: Visits, event: ShareVisited) -> Visits:
    return Visits(last=event.local_day)


FOLD: Fold[Visits, ShareVisited] = Fold(
    initial=Visits(),
    evolve=evolve,
    codec=Codec[ShareVisited]([ShareVisited]),
    state_type=Visits,
)
