"""Publish a version of a ruleset: the one command of scoring."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from services.scoring import versions
from services.scoring.events import RulesetPublished
from services.scoring.ruleset import Rules
from services.scoring.rulesets import RulesetVersion
from shared.commands.command import Answer, Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.commands.recorded import Recorded
from shared.messaging.lanes import LOCK
from shared.observability.traces import current_traceparent

PATH = "/scoring/v1/rulesets"
CONSUMER = "scoring"
LANES_SECONDS = 2
"""How long a publication waits for the lanes to stand still."""

_SOON = timedelta(minutes=15)
"""Times that are further ahead, by this machine's clock, are ahead by the database's as well."""

_NUMBER = "select nextval(pg_get_serial_sequence('ruleset_versions', 'ruleset'))"

_INSERT = """
insert into ruleset_versions (ruleset, organization, community, version, valid_from, rules, published_by, published_at)
overriding system value
select ruleset, organization, community, version, valid_from, rules, published_by, published_at
  from unnest($1::integer[], $2::text[], $3::uuid[], $4::integer[], $5::timestamptz[], $6::jsonb[], $7::text[],
              $8::timestamptz[])
       as published (ruleset, organization, community, version, valid_from, rules, published_by, published_at)
"""


class Still(NamedTuple):
    """What holds while the lanes stand.

    Attributes:
        journal_empty: nothing of the organization was ever folded.
        now: the database's clock, since they stand. What happened before was folded by then, or will be after the command.
    """

    journal_empty: bool
    now: datetime


class StandingLanes:
    """Look-up of organizations by standing lanes: they wait until the command ends.

    Every journal row has a community, which gets its row in the same transaction.
    """

    name = "standing-lanes"

    def __init__(self, partitions: int) -> None:
        self._lanes = list(range(partitions))

    async def load(self, connection: Any, keys: Collection[str]) -> Mapping[str, Still]:
        await connection.execute(f"set local lock_timeout = '{LANES_SECONDS}s'")
        await connection.execute(LOCK, CONSUMER, self._lanes)
        await connection.execute("set local lock_timeout = 0")
        rows = await connection.fetch(
            """
            select organization, clock_timestamp() as now,
                   not exists (select from communities where communities.organization = asked.organization) as empty
              from unnest($1::text[]) as asked (organization)
            """,
            list(keys),
        )
        return {row["organization"]: Still(row["empty"], row["now"]) for row in rows}


async def publish_ruleset(
    gateway: Gateway,
    rules: Rules,
    *,
    organization: str,
    community: str | None,
    valid_from: datetime,
    published_by: str,
    key: IdempotencyKey,
) -> Done:
    """Publish the next version, of an organization or of one of its communities."""
    stream = Stream("-".join(["ruleset", quote(organization, safe=""), *filter(None, [community])]), versions.FOLD)
    lanes = StandingLanes(gateway.writing.partitions)
    look = valid_from <= datetime.now(UTC) + _SOON
    number = await gateway.pool.fetchval(_NUMBER)

    def decide(known: Known) -> Decision:
        still: Still | None = known.found(lanes, organization) if look else None
        command = versions.Publish(
            organization=organization,
            community=community,
            ruleset=number,
            valid_from=valid_from,
            rules=rules,
            published_by=published_by,
            journal_empty=still.journal_empty if still is not None else None,
            now=still.now if still is not None else known.recorded_at,
        )
        published = versions.publish(command, known.state(stream))
        body = RulesetVersion.of_fact(published[0]).model_dump_json().encode()
        return Decision(Answer(201, body, {"Location": f"{PATH}/{number}"}), {stream: published})

    return await gateway.run(
        Command(
            decide,
            writes=(stream,),
            lookups=((lanes, organization),) if look else (),
            idempotency=key,
            traceparent=current_traceparent(),
        )
    )


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write new versions into the table that lanes read."""
    rows = [
        (
            event.ruleset,
            event.organization,
            event.community,
            event.version,
            event.valid_from,
            event.rules.encode(),
            event.published_by,
            fact.recorded_at,
        )
        for fact in facts
        if isinstance(event := fact.event, RulesetPublished)
    ]
    if rows:
        await connection.execute(_INSERT, *zip(*rows, strict=True))
