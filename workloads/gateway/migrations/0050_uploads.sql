-- Documents that arrive in pieces. Only new tables: safe while older replicas run.
create table uploads (
    id             uuid primary key,
    owner          text not null,
    knowledge_base text not null,
    name           text not null,
    media_type     text not null,
    -- As the client sent it, who may read it again.
    metadata       text not null,
    -- Bytes, as announced and as they are safe. A client is told of the second and nothing else.
    size           bigint not null check (size > 0),
    received       bigint not null default 0 check (received between 0 and size),
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null,
    -- The request that writes. Past `lease_until` another one may take its place, and then nothing
    -- of the former one counts any more.
    lease          uuid,
    lease_until    timestamptz,
    -- The whole, while it is put together from the parts.
    object_key     text,
    -- Set when it has become a document, which may be deleted since.
    document_id    uuid
);
create index uploads_by_owner on uploads (owner, id);
create index uploads_by_expiry on uploads (expires_at);

-- The received bytes in order, each part an object of its own.
create table upload_parts (
    upload_id  uuid not null references uploads (id) on delete cascade,
    number     integer not null,
    object_key text not null,
    size       integer not null,
    primary key (upload_id, number)
);

-- Uploads that are over, whose parts still have to be deleted: all objects below the id.
create table discarded_uploads (
    upload_id    uuid primary key,
    discarded_at timestamptz not null default now()
);
