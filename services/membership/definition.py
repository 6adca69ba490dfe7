"""The membership service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.membership import community, member, places
from services.membership.projections import project
from services.membership.publishing import publish
from services.membership.service import Membership
from shared.service import Definition, Kernel


def _routers() -> Sequence[Any]:
    from services.membership.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _open(kernel: Kernel) -> Membership:
    return Membership(kernel.gateway, kernel.reader, kernel.passed, kernel.ready)


MEMBERSHIP = Definition(
    name="membership",
    title="Qunli membership",
    description="Communities and their members: found, launch, join, leave, return.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
    publish=publish,
    project=project,
    codecs=(community.FOLD.codec, member.FOLD.codec, places.FOLD.codec),
)
