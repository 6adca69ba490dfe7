"""Parameters and field types that several routes of membership share."""

from typing import Annotated

from fastapi import Depends, Path
from pydantic import AfterValidator, Field

from services.membership.service import Membership
from shared.codes import normalize
from shared.http.app import get_service
from shared.http.models import Identifier, Instant, PersonId


def _read_code(text: str) -> str:
    code = normalize(text)
    if code is None:
        raise ValueError("must be a code of eight characters, e.g. 7H3K9QWX")
    return code


Service = Annotated[Membership, Depends(get_service)]
CommunityId = Annotated[Identifier, Path(alias="community")]
PathPerson = Annotated[PersonId, Path(alias="person", description="Person id, or `me`.")]
Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
TypedCode = Annotated[
    str,
    Field(max_length=40, description="Eight characters of Crockford's base 32; any case, hyphens, look-alike letters."),
    AfterValidator(_read_code),
]
StatedInstant = Annotated[
    Instant | None,
    Field(description="Only for scope `import`: when it was; at most five minutes ahead of the server's clock."),
]
