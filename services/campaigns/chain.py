"""Who is credited for a purchase: the rules of the referral chain, over what was found of shares and bindings."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Literal, TypeAlias

import msgspec

from services.campaigns.events import Link, PurchaseRecorded

MARGIN = timedelta(seconds=2)
"""Facts count for a purchase if they were recorded so long after it at most: clocks of two services differ."""

OLDEST_SHARE = timedelta(days=30)


class Open(Enum):
    """Not known, and not known to be absent either: look again later."""

    OPEN = "open"


OPEN = Open.OPEN


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Who shared under a code, and when."""

    organization: str
    sharer: str
    occurred_at: datetime


Referrer: TypeAlias = str | Open | None
"""A person's bound referrer; None: there is none."""


Refused: TypeAlias = Literal["unknown", "own", "too_old", "shared_later"]
"""Why a code does not count: nobody of the organization shared under it, or the buyer did, or more than 30 days before the
purchase occurred, or after it."""


def refused(share: Share, purchase: PurchaseRecorded) -> Refused | None:
    """Why the share's code does not count for the purchase, as if it had none; None if it counts: of the same
    organization, not the buyer's own, and at most 30 days old when the purchase occurred.
    """
    age = purchase.occurred_at - share.occurred_at
    if share.organization != purchase.organization:
        return "unknown"
    if share.sharer == purchase.order.buyer:
        return "own"
    if age > OLDEST_SHARE:
        return "too_old"
    return "shared_later" if age < timedelta(0) else None


def first_link(purchase: PurchaseRecorded, share: Share | Open | None, referrer: Referrer) -> Link | Open | None:
    """Level 1: the sharer, if the code counts, else the buyer's bound referrer; None if nobody.

    Args:
        share: of the purchase's code; None if it has none, or nobody shared under it.
        referrer: of the buyer.
    """
    if share is OPEN:
        return OPEN
    if isinstance(share, Share) and refused(share, purchase) is None:
        return Link(level=1, person=share.sharer, by="share_code")
    if referrer is OPEN:
        return OPEN
    if referrer is None or referrer == purchase.order.buyer:
        return None
    return Link(level=1, person=str(referrer), by="binding")


def second_link(purchase: PurchaseRecorded, first: Link, referrer: str | None) -> Link | None:
    """Level 2: the bound referrer of the person at level 1, unless that is the buyer or the same person again."""
    if referrer is None or referrer in (purchase.order.buyer, first.person):
        return None
    return Link(level=2, person=referrer, by="binding")
