"""Membership's own copy of who owns which share code: folded from `content.events`, so that joining needs no other service."""

from collections.abc import Sequence
from typing import Any

from services.membership import inbound
from services.membership.inbound import ContentShared
from shared.messaging.facts import LaneFacts

TABLES = {"share_codes": "code"}
"""What is folded here: the tables and their primary keys."""

_SHARE_CODES = """
insert into share_codes (code, organization, community, sharer, recorded_at)
select code, organization, community, sharer, recorded_at
  from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[])
       as heard (code, organization, community, sharer, recorded_at)
 order by code
    on conflict (code) do nothing
"""


class ShareCodes:
    """Folds `content-shared` into `share_codes`. A code is made once, so rows are only ever added."""

    consumer = "membership"
    topics: Sequence[str] = (inbound.TOPIC,)
    types = frozenset({inbound.CONTENT_SHARED})

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """See `shared.messaging.facts.Projection.apply`."""
        heard: dict[str, ContentShared] = {}
        for lane in lanes:
            for fact in lane.facts:
                shared = inbound.read(fact)
                heard.setdefault(shared.code, shared)
        rows = [(code, of.organization, of.community, of.sharer, of.recorded_at) for code, of in heard.items()]
        await connection.execute(_SHARE_CODES, *zip(*rows, strict=True))
