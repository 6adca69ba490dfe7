"""The membership service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.membership import community, invitation, member, places, referral
from services.membership.projections import project
from services.membership.publishing import publish
from services.membership.replica import TABLES, ShareCodes
from services.membership.service import Membership
from services.membership.settling import UNSETTLED, referral_settler
from shared.messaging.unsettled import watch_unsettled
from shared.service import Definition, Kernel
from shared.settings import Settings


def _routers() -> Sequence[Any]:
    from services.membership.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _open(kernel: Kernel) -> Membership:
    return Membership(kernel.gateway, kernel.reader, kernel.passed, kernel.ready)


def _projection(_settings: Settings) -> ShareCodes:
    return ShareCodes()


MEMBERSHIP = Definition(
    name="membership",
    title="Qunli membership",
    description="Communities and their members: found, launch, invite, join, leave, roles, and who brought whom.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
    publish=publish,
    project=project,
    codecs=tuple(of.FOLD.codec for of in (community, member, places, invitation, referral)),
    projection=_projection,
    replica=TABLES,
    upkeep={"watch": watch_unsettled("membership", UNSETTLED)},
    background={"referral settler": referral_settler},
)
