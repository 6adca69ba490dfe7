"""Field types that the messages of all services share, as their JSON Schemas show them."""

from datetime import date, datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

Organization: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Owner of the community.")]
CommunityId: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
Id: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
Person: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Person id, as in the token's sub.")]
Code: TypeAlias = Annotated[str, Meta(pattern="^[0-9A-HJKMNP-TV-Z]{8}$", description="Crockford base 32.")]
Zone: TypeAlias = Annotated[str, Meta(description="IANA time zone of the community.")]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.")]
MinorUnits: TypeAlias = Annotated[int, Meta(ge=0, description="Minor units of the currency.")]
OccurredAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="When it happened, UTC.")]
RecordedAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="Database clock when it was stored, UTC.")]
LocalDay: TypeAlias = Annotated[date, Meta(description="Calendar date of the act in the community's zone.")]
ActOccurredAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="When the original act happened, UTC.")]
ActLocalDay: TypeAlias = Annotated[date, Meta(description="Local day of the original act.")]
