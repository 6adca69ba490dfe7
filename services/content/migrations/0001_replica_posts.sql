-- What content knows of communities and members, folded from `membership.events` (replica.py).

create table communities (
    community    uuid     primary key,
    organization text     not null,
    status       smallint not null check (status between 1 and 3),  -- 1 draft, 2 launched, 3 retired: only rises
    zone         text     not null,
    currency     text     not null
);

create table members (
    community uuid    not null,
    person    text    not null,
    active    boolean not null,
    roles     text[]  not null,
    primary key (community, person)
);

-- What answers and feeds read from: written in the transaction of the facts, never the truth itself.

create table posts (
    post         uuid        primary key,
    organization text        not null,
    community    uuid        not null,
    author       text        not null,
    kind         text        not null,
    title        text,
    body         text        not null,
    media        jsonb       not null,
    topics       jsonb       not null,
    occurred_at  timestamptz not null,
    edited_at    timestamptz,             -- null: never edited
    removed_at   timestamptz,             -- null: stands
    version      bigint      not null
);
create index feed on posts (community, occurred_at desc, post desc) where removed_at is null;
