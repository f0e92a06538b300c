-- What people see of their sessions, and what ends them. Replicas of the version before go on
-- inserting rows meanwhile: hence the defaults.
alter table sessions
    add column id uuid not null default gen_random_uuid(),
    add column last_used_at timestamptz not null default now(),
    -- The provider's word for its session (`sid`), by which it ends ours.
    add column provider_session text,
    add column user_agent text not null default '';
create unique index sessions_by_id on sessions (id);
create index sessions_by_subject on sessions (subject, id desc);
create index sessions_by_provider on sessions (provider_session)
    where provider_session is not null;

-- Logout tokens work once. Only the hash of their id is kept, until they have ended.
create table used_logout_tokens (
    id_hash    bytea primary key,
    expires_at timestamptz not null
);
create index used_logout_tokens_by_expiry on used_logout_tokens (expires_at);

-- Keys of programs. A key is random, so its SHA-256 says nothing about it.
create table api_keys (
    id           text primary key,
    hash         bytea not null,
    owner        text not null,
    owner_name   text not null,
    name         text not null,
    scopes       text[] not null,
    -- Null: every model that the owner may name.
    models       text[],
    groups       text[] not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    last_used_at timestamptz
);
create index api_keys_by_owner on api_keys (owner, created_at desc, id desc);
create index api_keys_by_expiry on api_keys (expires_at);

-- The groups of those who have keys, as their newest token says: a key has no group that its owner
-- has lost.
create table key_owners (
    subject text primary key,
    groups  text[] not null,
    -- When that token was issued.
    said_at timestamptz not null
);
