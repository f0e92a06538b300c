-- What the Responses API gives back of an answer beside its message. Only a new table: safe while
-- older replicas run. Its reference to `messages` waits for whoever writes there: rather fail, and be
-- started again.
set local lock_timeout = '5s';

create table responses (
    -- It goes with its answer.
    run_id        uuid primary key references messages (run_id) on delete cascade,
    -- The messages that were its input.
    inputs        uuid[] not null,
    -- The model as it was named, and what is repeated of the request: JSON, as a text, because the
    -- caller's strings may hold NUL characters.
    model         text not null,
    repeated      text not null,
    -- How the answer ended. Failure is why it is not whole.
    failure       jsonb,
    finish_reason text not null,
    provider      text not null,
    input_tokens  bigint,
    output_tokens bigint
);
