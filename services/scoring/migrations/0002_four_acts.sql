-- Rulesets in versions, orders, and commission.

-- A version of a ruleset, for an organization or for one of its communities. Number 1 is the shipped default
-- (services/scoring/ruleset.py), which has no row. Never changed: rows of other tables name a version by its number.
create table ruleset_versions (
    ruleset      integer     generated always as identity (start with 2) primary key,
    organization text        collate "C" not null,
    community    uuid,                       -- null: of the whole organization
    version      integer     not null,
    valid_from   timestamptz not null,
    rules        jsonb       not null,       -- services/scoring/ruleset.py: Rules
    published_by text        not null,
    published_at timestamptz not null,
    unique nulls not distinct (organization, community, version)
);

-- Replaced whenever a version is published, so that who remembers versions can tell that there are more.
create table ruleset_stamp (
    singleton boolean primary key default true check (singleton),
    stamp     uuid    not null default gen_random_uuid()
);
insert into ruleset_stamp default values;

create function replace_ruleset_stamp() returns trigger language plpgsql as $$
begin
    update ruleset_stamp set stamp = gen_random_uuid();
    return null;
end
$$;
create trigger ruleset_published after insert on ruleset_versions
    for each statement execute function replace_ruleset_stamp();

-- Of purchases: what a rebuild needs and no other column holds (services/scoring/inbound.py says what).
alter table journal add column details jsonb;

-- Purchases as they stand, for the refunds and the attribution that follow. Written by the buyer's lane.
create table orders (
    person_no      integer     not null,     -- the buyer
    purchase       uuid        not null,
    community_no   integer     not null,
    order_id       text        not null,
    currency       text        not null,
    occurred_at    timestamptz not null,
    day            date        not null,     -- local day of the purchase
    ruleset        integer     not null,     -- version in force at the purchase
    paid           bigint      not null,     -- minor units, as the next two
    commissionable bigint      not null,
    refunded       bigint      not null check (refunded between 0 and paid),
    chain          jsonb,                    -- who stands at level 1, 2, null where nobody; null: not attributed yet
    primary key (person_no, purchase)
) with (fillfactor = 80);

-- What commission was booked, to whom, and why. Written by buyers' lanes; never changed.
create table commission_entries (
    entry_no     bigint      generated always as identity primary key,   -- right-growing; lists go by it
    entry        uuid        not null unique,    -- computed (services/scoring/commission.py)
    organization text        collate "C" not null,
    person       text        collate "C" not null,   -- who earns it; need not be known here otherwise
    community_no integer     not null,
    purchase     uuid        not null,
    order_id     text        not null,
    refund       uuid,                           -- null: by the attribution
    level        smallint    not null,
    amount       bigint      not null,           -- minor units; negative where it takes back
    currency     text        not null,
    rate         integer     not null,           -- basis points
    ruleset      integer     not null,           -- version in force at the purchase
    payable_at   timestamptz not null,
    event_id     uuid        not null,           -- the fact that it follows from,
    lane         smallint    not null,           -- and its place in the journal
    seq          bigint      not null
);
create index on commission_entries (organization, person, entry_no);
create index on commission_entries (person, community_no, payable_at);
create index on commission_entries (event_id);

-- The commission of a person in a community. Any buyer's lane adds; `active` is set by the person's own lane alone.
create table commission_standings (
    person       text    collate "C" not null,
    community_no integer not null,
    commission   bigint  not null,           -- minor units
    active       boolean,                    -- null: never a member
    primary key (person, community_no)
);
create index standings_by_commission on commission_standings (community_no, commission desc, person)
    where active and commission <> 0;
insert into commission_standings (person, community_no, commission, active)
select person, community_no, 0, active from standings;
