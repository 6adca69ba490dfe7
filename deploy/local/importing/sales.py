"""The purchases of CDNOW become a community: its customers bring one another in, and buy.

Customer 1 founds the community. Every other customer k joins at the first purchase, with an invitation of customer
k div 2, so that people join in the order of a tree. Then all purchases are recorded, as a shop backend does.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from deploy.local.client import ORGANIZATION, Caller, Failed, Refused, board_path, commands, instant_text, log_in
from deploy.local.importing.cdnow import Customer, Purchase, Survey, person, purchases
from deploy.local.importing.loading import COMMUNITIES, Loading, community_named, each

PURCHASES = "/campaigns/v1/purchases"
CHAINS_SECONDS = 300.0
"""How long an import waits for the chains of its purchases."""

_SOURCE = "cdnow"
_LOOK_SECONDS = 0.5


async def load(http: httpx.AsyncClient, file: Path, found: Survey, *, name: str) -> Loading:
    """Load all of it, and wait until every purchase has its chain and all is scored.

    Args:
        name: of the community.
    """
    importer = await log_in(http, "importer", scope="import")
    community = await community_named(importer, name, lambda owner: owner.startswith(person("")))
    community = community or await _found(importer, found.customers[0], name)
    loading = Loading(importer, _SOURCE, community["id"], community["owner"])
    await loading.launch()
    await _join(loading, found.customers)
    shop = await log_in(http, "importer", scope="purchases:write import", seen=importer.seen)
    await _buy(loading, shop, file, found)
    print("Waiting for the chains and the scores …", flush=True)
    await _attributed(loading, shop)
    member = await log_in(http, loading.owner, seen=importer.seen)
    await member.get(board_path(loading.community, "commission"))
    return loading


async def _found(importer: Caller, founder: Customer, name: str) -> Mapping[str, Any]:
    charter = {
        "name": name,
        "affinity": "We buy our records at CDNOW.",
        "zone": "UTC",
        "currency": "USD",
        "occurred_at": instant_text(founder.joined_at),
    }
    source = hashlib.sha256(name.encode()).hexdigest()[:32]
    founded = await importer.acting_for(founder.person).post(COMMUNITIES, charter, key=f"{_SOURCE}:{source}")
    return dict(founded.json())


async def _join(loading: Loading, customers: Sequence[Customer]) -> None:
    """Let people join, one level of the tree after another: who brings somebody is a member by then."""
    codes: dict[int, str] = {}

    async def join(customer: Customer) -> None:
        how = {"invitation": codes[customer.referrer]} if customer.referrer else {}
        await loading.join(customer.person, customer.joined_at, what="customers", **how)
        if 2 * customer.number <= len(customers):
            inviter = loading.importer.acting_for(customer.person)
            made = await inviter.post(f"{loading.path}/invitations", {}, key=loading.key("invitation"), after="")
            codes[customer.number] = made.json()["code"]

    with tqdm(total=len(customers), desc="customers", unit="") as bar:
        first = 1
        while level := customers[first - 1 : 2 * first - 1]:
            await each(level, join, bar.update)
            first *= 2


async def _buy(loading: Loading, shop: Caller, file: Path, found: Survey) -> None:
    async def buy(purchase: Purchase) -> None:
        order, key = _order(loading, purchase), loading.key(f"order:{purchase.line}")
        try:
            answer = await shop.post(PURCHASES, order, key=key, after=loading.launched)
        except Refused as refused:
            loading.tally.said_no("purchases", refused)
            return
        loading.tally.answered("purchases", answer.headers)

    with tqdm(total=found.purchases, desc="purchases", unit="") as bar:
        await each(purchases(file), buy, bar.update)


async def _attributed(loading: Loading, shop: Caller) -> None:
    """Wait until every purchase has its chain. The last ones get theirs last, and the list begins with them. With its
    pages come the consistency tokens of the chains.

    Raises:
        Failed: some still wait after `CHAINS_SECONDS`.
    """
    deadline = time.monotonic() + CHAINS_SECONDS
    while await _one_waits(loading, shop):
        if time.monotonic() > deadline:
            raise Failed("Purchases still wait for their chains: membership or content is not heard of. See the log.")
        await asyncio.sleep(_LOOK_SECONDS)


async def _one_waits(loading: Loading, shop: Caller) -> bool:
    path: str | None = f"{PURCHASES}?limit=100"
    while path is not None:
        page = (await shop.get(path)).json()
        if any(item["attribution"] == "pending" for item in page["items"] if item["community"] == loading.community):
            return True
        path = page["next"]
    return False


def _order(loading: Loading, purchase: Purchase) -> Mapping[str, Any]:
    return {
        "community": loading.community,
        "order_id": str(purchase.line),
        "buyer": person(purchase.customer),
        "lines": [{"product": "cd", "quantity": purchase.discs, "amount_minor": purchase.cents}],
        "paid_minor": purchase.cents,
        "currency": "USD",
        "occurred_at": instant_text(purchase.at),
    }


def describe(loading: Loading, found: Survey, url: str) -> str:
    """The report for a person."""
    tally = loading.tally
    lines = [
        f"\nCommunity {loading.community} of the organization {ORGANIZATION}",
        f"  customers {len(found.customers):>7}   each brought by another one, but for the first",
        f"  purchases {found.purchases:>7}   of {found.cents // 100:,}.{found.cents % 100:02} USD in all",
        *(
            f"  {word:<9} {answers['purchases']:>7}   purchases of {run} run, and {answers['customers']} customers"
            for word, answers, run in (("new", tally.new, "this"), ("known", tally.known, "an earlier"))
        ),
        *(f"  skipped   {count:>7}   {reason}" for reason, count in sorted(tally.refused.items())),
    ]
    activity = f"{board_path(loading.community, 'activity')}?day={found.last.date()}"
    boards = [activity, *(board_path(loading.community, metric) for metric in ("points", "commission"))]
    entries = f"/scoring/v1/people/me/commission/entries?community={loading.community}"
    return "\n".join(
        [*lines, "\nThe leaderboards, as one of the customers:", *commands(url, loading.owner, [*boards, entries])]
    )
