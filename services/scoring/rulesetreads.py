"""Read published rulesets, and remember them for as long as none is added."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from services.scoring.ruleset import Published, Rules, Ruleset, Rulesets


class PublishedRulesets:
    """Remembers the versions of organizations until another one is published, by whomever. Several may ask at once."""

    def __init__(self, *, most_organizations: int = 10_000) -> None:
        self._most_organizations = most_organizations
        self._stamp: UUID | None = None
        self._known: dict[str, list[Published]] = {}

    async def of(self, connection: Any, organizations: Collection[str]) -> Rulesets:
        """The versions of these organizations and their communities.

        A version is published long enough before it is in force that whoever asks under the lock of a lane learns of
        all that apply to facts of that lane.
        """
        stamp = await connection.fetchval("select stamp from ruleset_stamp")
        if stamp != self._stamp or len(self._known) > self._most_organizations:
            self._known = {}
            self._stamp = stamp
        known = self._known
        if missing := [organization for organization in organizations if organization not in known]:
            rows = await connection.fetch(
                """
                select organization, community::text, ruleset, version, valid_from, rules::text
                  from ruleset_versions
                 where organization = any ($1)
                """,
                missing,
            )
            found: dict[str, list[Published]] = {organization: [] for organization in missing}
            for organization, community, number, version, valid_from, rules in rows:
                ruleset = Ruleset.of(number, version, valid_from, Rules.decode(rules))
                found[organization].append(Published(organization, community, ruleset))
            known |= found
        return Rulesets(published for organization in organizations for published in known[organization])
