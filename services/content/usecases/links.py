"""Short links: who opens one is recorded, and sent on to where the community lives."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

from services.content import readmodels, share
from services.content.events import ContentShared
from services.content.usecases.desk import Desk, visits_stream
from services.content.visit import Visitor, visit
from shared.commands.command import Answer, Decision, Known

SHARE_CODE = "share_code"
"""The parameter by which the landing page learns the code, to pass it on with a join or purchase."""


class Links(Desk):
    """The use cases of short links."""

    async def open(self, code: str, visitor_in: Callable[[str], Visitor]) -> str | None:
        """Record a visit, if this visitor has not been here today.

        Args:
            visitor_in: who opens it, for a share of this organization: a person of another one is none here.

        Returns:
            Where to go; None where the community has not said.

        Raises:
            NotFound: `share-not-found`.
        """
        found = await readmodels.link(self.reader, code)
        if found is None:
            raise share.not_found()
        row, landing_url = found
        visitor = visitor_in(row.organization)
        own, shared = visits_stream(code, visitor), _shared(row)

        def decide(known: Known) -> Decision:
            return Decision(Answer(204), {own: visit(shared, visitor, known.state(own), now=known.recorded_at)})

        await self.run(decide, writes=(own,), key=None)
        return with_code(landing_url, code) if landing_url is not None else None


def with_code(landing_url: str, code: str) -> str:
    """The landing page, told the code; whatever else its address says stays."""
    address = urlsplit(landing_url)
    said = [(name, value) for name, value in parse_qsl(address.query, keep_blank_values=True) if name != SHARE_CODE]
    return address._replace(query=urlencode([*said, (SHARE_CODE, code)])).geturl()


def _shared(row: readmodels.ShareRow) -> ContentShared:
    """The fact that the row was made of."""
    return ContentShared(
        **row.model_dump(exclude={"share", "community"}), share=str(row.share), community=str(row.community)
    )
