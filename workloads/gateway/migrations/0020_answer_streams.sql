-- Streamed answers that a client may come back to. Only a new table: safe while older replicas run.
-- The text of an ended answer is in its message; here is what a stream says beside it.
create table answer_streams (
    run_id          uuid primary key,
    conversation_id uuid not null references conversations (id) on delete cascade,
    -- Who may come back: the person, and where an API key began it, that key.
    subject         text not null,
    api_key         text not null,
    -- What its chunks say.
    model           text not null,
    include_usage   boolean not null,
    created_at      timestamptz not null default now(),
    -- The replica that writes it renews this. Past it, nobody will end it any more.
    alive_until     timestamptz not null,
    -- Another replica that passes it on renews this, and then finds the text so far in `written`.
    followed_until  timestamptz,
    written         bytea not null default '',
    stop_wanted     boolean not null default false,
    -- The rest is set when it has ended. Failure is why the answer is not whole.
    ended_at        timestamptz,
    failure         jsonb,
    finish_reason   text,
    provider        text,
    input_tokens    bigint,
    output_tokens   bigint
);
create index answer_streams_by_age on answer_streams (created_at);
create index answer_streams_by_conversation on answer_streams (conversation_id);
