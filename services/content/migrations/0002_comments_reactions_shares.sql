-- Where short links of the community lead; null: not heard of, or none.
alter table communities add column landing_url text;

alter table posts
    add column rating    smallint check (rating between 1 and 5),   -- of a review
    add column hidden_at timestamptz;                               -- null: not hidden
drop index feed;
create index feed on posts (community, occurred_at desc, post desc) where removed_at is null and hidden_at is null;

create table comments (
    comment      uuid        primary key,
    organization text        not null,
    community    uuid        not null,
    post         uuid        not null,
    author       text        not null,
    floor        bigint      not null check (floor >= 1),
    parent       uuid,                    -- null: replies to no comment
    body         text        not null,
    occurred_at  timestamptz not null,
    removed_at   timestamptz,             -- null: stands
    version      bigint      not null
);
create unique index thread on comments (post, floor);

create table shares (
    code         text        primary key,
    share        uuid        not null,
    organization text        not null,
    community    uuid        not null,
    zone         text        not null,
    currency     text        not null,
    sharer       text        not null,
    target_kind  text        not null,
    target       text        not null,
    channel      text        not null,
    parent       text,                    -- code; null: a root
    occurred_at  timestamptz not null,
    local_day    date        not null
);
create index children on shares (parent, share) where parent is not null;

-- Through which share a person came last, in an organization.
create table arrivals (
    organization text        not null,
    person       text        not null,
    code         text        not null,
    occurred_at  timestamptz not null,
    primary key (organization, person)
);

-- How many stand on a post, comment or share: comments, reactions by kind, visits that count, children. Rows are added to
-- in the order of their key: two processes may add to the same ones.
create table tallies (
    subject text   not null,              -- id of a post or comment, code of a share
    kind    text   not null,
    number  bigint not null,
    primary key (subject, kind)
) with (fillfactor = 70);
