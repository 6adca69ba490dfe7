"""Reads of purchases carry the consistency token of what they show: who passes it on waits for chains as well."""

from datetime import timedelta

from shared.position import parse_tokens
from tests.campaigns.facts import NOW
from tests.campaigns.heard import joined
from tests.campaigns.stage import Stage


async def last_facts(stage: Stage, *purchases: str) -> dict[int, str]:
    """The position of the last fact about any of these purchases, by partition."""
    rows = await stage.campaigns.kernel.writer.fetch(
        """
        select distinct on (partition) partition, concat_ws('-', epoch, transaction_id, sequence) as position
          from events
         where stream_id in (select stream_id from events where data ->> 'purchase' = any($1))
         order by partition, epoch desc, transaction_id desc, sequence desc
        """,
        list(purchases),
    )
    return dict(map(tuple, rows))


def positions(header: str) -> dict[int, str]:
    tokens = parse_tokens(header)
    assert {token.service for token in tokens} == {"campaigns"}
    assert len({token.partition for token in tokens}) == len(tokens)
    return {token.partition: str(token.position) for token in tokens}


async def test_a_purchase_is_read_with_the_token_of_its_last_fact(stage: Stage) -> None:
    stage.commit(joined("cy", "anna"))
    id = await stage.buy()
    shop = stage.campaigns.machine("purchases:write")

    pending = await shop.get(f"/v1/purchases/{id}")
    recorded = positions(pending.headers["consistency-token"])
    assert pending.json()["attribution"] == "pending"
    assert recorded == await last_facts(stage, id)

    await stage.hear()
    await stage.mark_all(NOW + timedelta(days=1))  # nobody brought anna
    await stage.attribute()
    attributed = await shop.get(f"/v1/purchases/{id}")
    assert attributed.json()["attribution"] == "attributed"
    assert positions(attributed.headers["consistency-token"]) == await last_facts(stage, id) != recorded


async def test_a_page_of_purchases_is_read_with_the_tokens_of_all_of_them(stage: Stage) -> None:
    people = [f"buyer-{number}" for number in range(12)]
    stage.commit(*(joined(person, "anna") for person in people))
    await stage.hear()
    bought = [await stage.buy(buyer=person) for person in (*people, *people)]
    await stage.mark_all(NOW + timedelta(days=1))  # nobody brought anna
    await stage.attribute()
    shop = stage.campaigns.machine("purchases:write")

    page = await shop.get("/v1/purchases?limit=100")
    last = await last_facts(stage, *bought)
    assert [item["attribution"] for item in page.json()["items"]] == ["attributed"] * 24 and len(last) > 1
    assert positions(page.headers["consistency-token"]) == last

    short = await shop.get("/v1/purchases?limit=1")
    assert positions(short.headers["consistency-token"]) == await last_facts(stage, bought[-1])


async def test_nothing_is_shown_without_a_token(stage: Stage) -> None:
    empty = await stage.campaigns.machine("purchases:write").get("/v1/purchases")
    assert (empty.json()["items"], "consistency-token" in empty.headers) == ([], False)
