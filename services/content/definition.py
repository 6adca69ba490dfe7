"""The content service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.content import post
from services.content.projections import project
from services.content.publishing import publish
from services.content.replica import Replica
from services.content.service import Content
from shared.service import Definition, Kernel
from shared.settings import Settings


def _routers() -> Sequence[Any]:
    from services.content.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _open(kernel: Kernel) -> Content:
    return Content(kernel.gateway, kernel.reader, kernel.passed, kernel.ready)


def _projection(_settings: Settings) -> Replica:
    return Replica()


CONTENT = Definition(
    name="content",
    title="Qunli content",
    description="Posts of members: publish, edit, remove, read by feed.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
    publish=publish,
    project=project,
    codecs=(post.FOLD.codec,),
    projection=_projection,
)
