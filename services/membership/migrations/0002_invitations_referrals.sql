-- Invitations and referral bindings: written in the transaction of the facts, never the truth itself.

alter table communities add column landing_url text;

create table invitations (
    code         text        primary key,
    organization text        not null,
    community    uuid        not null,
    inviter      text        not null,
    max_uses     bigint,                  -- null: no limit
    expires_at   timestamptz,             -- null: never
    uses         bigint      not null,
    created_at   timestamptz not null,
    version      bigint      not null
);
create index invitations_of_community on invitations (community, created_at desc, code desc);
create index invitations_of_inviter on invitations (community, inviter, created_at desc, code desc);

-- Who has a referrer. From a person to the root above it: one look into the primary key per step.
create table referrals (
    organization text        not null,
    person       text        not null,
    referrer     text        not null,
    since        timestamptz not null,    -- database clock of the join that bound
    primary key (organization, person)
);

-- Joins whose referral waits to be settled. `stream_id` and `version` are those of the join's fact, whose position the
-- settler compares with watermarks.
create table deferred_joins (
    "join"       uuid   primary key,
    organization text   not null,
    person       text   not null,
    inviter      text,                    -- null: of `share_code`, or nobody
    share_code   text,
    stream_id    text   not null,
    version      bigint not null
);
create index deferred_joins_of_person on deferred_joins (organization, person);

-- What membership knows of share codes, folded from `content.events` (replica.py).
create table share_codes (
    code         text        primary key,
    organization text        not null,
    community    uuid        not null,
    sharer       text        not null,
    recorded_at  timestamptz not null
);
