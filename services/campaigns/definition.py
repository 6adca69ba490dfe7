"""The campaigns service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.campaigns import purchase
from services.campaigns.attribution import UNATTRIBUTED, Attribution
from services.campaigns.projections import project
from services.campaigns.publishing import publish
from services.campaigns.replica import TABLES, Replica
from services.campaigns.service import Campaigns
from shared.lifecycle import Run
from shared.messaging.unsettled import watch_unsettled
from shared.messaging.watermarks import WatermarkReader
from shared.service import Definition, Kernel
from shared.settings import Settings


def _routers() -> Sequence[Any]:
    from services.campaigns.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _open(kernel: Kernel) -> Campaigns:
    return Campaigns(kernel.gateway, kernel.reader, kernel.passed, kernel.ready)


def _projection(_settings: Settings) -> Replica:
    return Replica()


def _attribution(kernel: Kernel, reader: WatermarkReader) -> Run:
    return Attribution(kernel, reader).run


CAMPAIGNS = Definition(
    name="campaigns",
    title="Qunli campaigns",
    description="Purchases and refunds, and through whom they came: recorded by shops, attributed once.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
    publish=publish,
    project=project,
    codecs=(purchase.FOLD.codec,),
    projection=_projection,
    replica=TABLES,
    upkeep={"watch": watch_unsettled("campaigns", UNATTRIBUTED)},
    background={"attribution": _attribution},
)
