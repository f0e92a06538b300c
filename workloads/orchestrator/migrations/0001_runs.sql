-- One row per answered or failed request. Holds no question, answer or argument.
CREATE TABLE runs (
    run_id          uuid PRIMARY KEY,
    conversation_id text NOT NULL,
    subject         text NOT NULL,
    requested_model text NOT NULL,
    route           text CHECK (route IN ('knowledge', 'agent', 'tool')),
    target          text,
    reason          text,
    confidence      real,
    created_at      timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz,
    ended_at        timestamptz,
    -- 'ok', 'cancelled', or a failure code; null while the run is under way.
    outcome         text,
    model           text,
    provider        text,
    input_tokens    bigint,
    output_tokens   bigint
);

CREATE INDEX runs_by_subject ON runs (subject, created_at DESC);
CREATE INDEX runs_by_time ON runs (created_at);

-- What a run did, in order.
CREATE TABLE steps (
    run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    number      integer NOT NULL,
    -- 'decide', 'retrieve', 'extract', 'complete', 'call_tool'
    kind        text NOT NULL,
    target      text NOT NULL,
    outcome     text NOT NULL,
    duration_ms bigint NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, number)
);
