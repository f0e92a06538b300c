-- Calls of tools that wait for the consent of the person who asked. What is asked for stands in the
-- message that asks, and how it was decided is the orchestrator's to say; a row here is how its answer
-- goes on. Safe while older replicas run, which leave the new column empty. What is touched waits for
-- whoever writes there: rather fail, and be started again.
set local lock_timeout = '5s';

alter table messages add column approvals jsonb;

create table approvals (
    id              uuid primary key,
    owner           text not null,
    -- Where the rest of the answer goes; null where nothing of the exchange is stored.
    conversation_id uuid references conversations (id) on delete cascade,
    -- The model as whoever asked named it.
    model           text not null,
    created_at      timestamptz not null default now(),
    -- The run of the newest attempt to decide.
    run_id          uuid,
    -- Whether an attempt came to a good end: then there is no other.
    is_answered     boolean not null default false
);
create index approvals_by_owner on approvals (owner, id);
create index approvals_by_conversation on approvals (conversation_id);

-- What was decided at every attempt, by its SHA-256, and the run by which the orchestrator knows that
-- decision: the same decision goes on under it. It is also the run of the first attempt.
create table approval_decisions (
    approval_id uuid not null references approvals (id) on delete cascade,
    digest      bytea not null,
    run_id      uuid not null,
    primary key (approval_id, digest)
);
