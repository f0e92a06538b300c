-- Forward only: a change is a new file. Times are UTC; people and groups are the token's words.

create table conversations (
    id         uuid primary key,
    owner      text not null,
    title      text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index conversations_by_owner on conversations (owner, updated_at desc, id desc);

create table messages (
    id              uuid primary key,
    -- The order within a conversation; ids of the same millisecond would not give it.
    position        bigint generated always as identity,
    conversation_id uuid not null references conversations (id) on delete cascade,
    role            text not null,
    content         text not null,
    -- The rest is set on answers only.
    run_id          uuid unique,
    outcome         text,
    model           text,
    decision        jsonb,
    citations       jsonb,
    tool_calls      jsonb,
    created_at      timestamptz not null default now()
);
create index messages_by_conversation on messages (conversation_id, position);

create table documents (
    id             uuid primary key,
    owner          text not null,
    groups         text[] not null,
    knowledge_base text not null,
    name           text not null,
    media_type     text not null,
    size           bigint not null,
    content_hash   text not null,
    object_key     text not null,
    status         text not null default 'uploaded'
                   check (status in ('uploaded', 'indexing', 'indexed', 'failed')),
    step           text,
    done           integer not null default 0,
    total          integer not null default 0,
    chunks         integer,
    error_code     text,
    error_message  text,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    -- The same name is the same document: a second upload replaces its content.
    unique (owner, knowledge_base, name)
);
create index documents_by_groups on documents using gin (groups);

-- Events that were committed with their cause and still have to reach the broker.
create table outbox (
    id          bigint primary key generated always as identity,
    message_id  text not null,
    routing_key text not null,
    body        bytea not null,
    created_at  timestamptz not null default now()
);

-- Objects that no document points to any more and that still have to be deleted.
create table discarded_objects (
    object_key text primary key,
    created_at timestamptz not null default now()
);

-- Browser sessions. Only the hash of the cookie is known here, and the tokens are sealed with
-- a key that is not in the database.
create table sessions (
    id_hash    bytea primary key,
    subject    text not null,
    sealed     bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sessions_by_expiry on sessions (expires_at);
