-- What membership answers reads from: written in the transaction of the facts, never the truth itself.

create table communities (
    community      uuid        primary key,
    organization   text        not null,
    owner          text        not null,
    name           text        not null,
    affinity       text        not null,
    purpose        text        not null,
    kind           text        not null,
    tags           jsonb       not null,
    zone           text        not null,
    currency       text        not null,
    capacity       bigint,
    entry          jsonb       not null,
    launch_base    bigint      not null,
    probation_days integer     not null,
    rulebook       text        not null,
    founded_at     timestamptz not null,
    launched_at    timestamptz,             -- null: still a draft
    version        bigint      not null
);
-- Identifiers are UUIDs of version 7: descending means newest first.
create index communities_of_organization on communities (organization, community desc);

create table members (
    community          uuid        not null,
    person             text        not null,
    organization       text        not null,
    roles              jsonb       not null,
    first_in_community boolean     not null,
    joined_at          timestamptz not null,
    left_at            timestamptz,         -- null: active
    version            bigint      not null,
    primary key (community, person)
);
create index active_members on members (community, joined_at, person) where left_at is null;
