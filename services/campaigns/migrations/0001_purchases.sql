-- What campaigns knows of communities, referral bindings and shares, folded from `membership.events` and
-- `content.events` (replica.py).

create table communities (
    community    uuid primary key,
    organization text not null,
    zone         text not null,
    currency     text not null
);

create table bindings (
    organization text        not null,
    person       text        not null,
    referrer     text        not null,
    since        timestamptz not null,     -- membership's clock, of the join that bound the person
    primary key (organization, person)
);

-- Joins of which membership does not know yet whether they bind the person.
create table pending_joins (
    organization text        not null,
    person       text        not null,
    join_id      uuid        not null,
    recorded_at  timestamptz not null,     -- membership's clock
    primary key (organization, person, join_id)
);

create table shares (
    code         text        primary key,
    organization text        not null,
    sharer       text        not null,
    occurred_at  timestamptz not null,
    recorded_at  timestamptz not null      -- content's clock
);

-- What answers and lists read from: written in the transaction of the facts, never the truth itself.

create table purchases (
    purchase             uuid        primary key,
    organization         text        not null,
    community            uuid        not null,
    order_id             text        not null,
    buyer                text        not null,
    lines                jsonb       not null,
    paid_minor           bigint      not null,
    commissionable_minor bigint      not null,
    currency             text        not null,
    share_code           text,
    campaign             text,
    occurred_at          timestamptz not null,
    refunded_minor       bigint      not null,
    chain                jsonb,               -- null: not attributed yet
    version              bigint      not null,
    unique (organization, order_id)
);
create index on purchases (organization, purchase desc);
create index on purchases (organization, buyer, purchase desc);

create table refunds (
    purchase       uuid        not null,
    refunded_minor bigint      not null,     -- this refund included: rises with every refund
    refund         uuid        not null,
    refund_id      text        not null,
    amount_minor   bigint      not null,
    currency       text        not null,
    occurred_at    timestamptz not null,
    primary key (purchase, refunded_minor)
);

-- Purchases whose chain is not fixed yet, by the streams that hold them; small as long as the other services keep up.
create table unattributed (
    stream_id   text        primary key,
    recorded_at timestamptz not null
);
create index oldest_unattributed on unattributed (recorded_at, stream_id);
