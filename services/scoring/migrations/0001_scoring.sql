-- Journal, entries, counts, standings and boards.
--
-- Persons and communities have small numbers here, which keeps the tables that grow narrow. A person's facts all come
-- through one lane, so rows keyed by a person are written by one lane only; communities and rank buckets by any.

create table communities (
    community_no   integer  generated always as identity primary key,
    community      uuid     not null unique,
    organization   text     not null,
    zone           text     not null,
    half_life_days smallint not null default 7 check (half_life_days between 1 and 90)
);

create table persons (
    person_no    integer  generated always as identity primary key,
    organization text     collate "C" not null,
    person       text     collate "C" not null,
    lane         smallint not null,
    unique (organization, person)
);

-- Every fact folded, in the order in which it was. Never changed.
create table journal (
    lane         smallint    not null,
    seq          bigint      not null check (seq >= 1),
    event_id     uuid        not null,
    kind         smallint    not null,           -- services/scoring/inbound.py: Kind
    person_no    integer,                        -- null: about a community
    community_no integer     not null,
    occurred_at  timestamptz not null,
    recorded_at  timestamptz not null,
    local_day    date        not null,
    act_id       uuid,                           -- what was done or taken back; null: no such thing
    act_day      date,                           -- its local day
    amount       bigint,                         -- minor units, for acts with money
    ruleset      integer,                        -- version in force when the act occurred; null: no act
    primary key (lane, seq)
);
create unique index on journal (event_id);       -- right-growing: event ids are UUIDs of version 7

-- What a journal row changed. A person's points are the sum of points_given.
create table point_entries (
    person_no     integer  not null,
    seq           bigint   not null,             -- with the person's lane: the journal row
    community_no  integer  not null,
    act           smallint not null,             -- services/scoring/ruleset.py: Act
    points_wanted bigint   not null,
    points_given  bigint   not null,
    weight_wanted integer  not null,
    weight_given  integer  not null,
    reason        smallint,                      -- services/scoring/ruleset.py: Reason; null: given as wanted
    primary key (person_no, seq)
);

-- How many acts of a day stand, and their share of the day score (weight × what the cap leaves of n).
create table day_counts (
    person_no    integer  not null,
    community_no integer  not null,
    day          date     not null,
    act          smallint not null,
    ruleset      integer  not null,
    n            integer  not null check (n >= 0),
    score        bigint   not null check (score >= 0),
    primary key (person_no, community_no, day, act, ruleset)
) with (fillfactor = 80);

-- A person in a community. On the boards stand those who are active and have a score.
create table standings (
    person_no    integer not null,
    community_no integer not null,
    person       text    collate "C" not null,   -- ties are listed by it
    activity_key bigint,                         -- services/scoring/rankkey.py; null: no score
    points       bigint  not null,
    active       boolean not null,
    primary key (person_no, community_no)
);
create index standings_by_activity on standings (community_no, activity_key desc, person)
    where active and activity_key is not null;
create index standings_by_points on standings (community_no, points desc, person)
    where active and points <> 0;

-- How many members of a board have keys from lower_key up to the next bucket's. A board without buckets is one bucket
-- from the smallest bigint. Where buckets begin changes only under the exclusive lock of services/scoring/boards.py.
create table rank_buckets (
    metric       smallint not null,
    community_no integer  not null,
    lower_key    bigint   not null,
    members      integer  not null,
    primary key (metric, community_no, lower_key)
);
create index rank_buckets_oversized on rank_buckets (metric, community_no, lower_key) where members > 4000;

-- Replaced whenever a bucket begins somewhere else, so that a cache of beginnings can tell.
create table rank_layout (
    singleton boolean primary key default true check (singleton),
    stamp     uuid    not null default gen_random_uuid()
);
insert into rank_layout default values;
