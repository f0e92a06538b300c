-- Calls of tools that wait, or waited, for the consent of the person who asked. The run that asks
-- ends; another one goes on, on any replica. Holds arguments, because they are what is consented
-- to; a row goes 30 days after it was made.
CREATE TABLE approvals (
    id                uuid PRIMARY KEY,
    -- The run that asked; it calls one tool at most, so it asks once.
    run_id            uuid NOT NULL UNIQUE,
    conversation_id   text NOT NULL,
    subject           text NOT NULL,
    -- In which language the rest of the answer is given.
    language          text NOT NULL CHECK (language IN ('en', 'es')),
    tool              text NOT NULL,
    description       text NOT NULL,
    -- JSON, as text: exactly this is shown, digested and called.
    arguments         text NOT NULL,
    -- SHA-256 of tool and arguments, and of how the tool was declared then.
    digest            text NOT NULL,
    declaration       text NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- What is pending after this has expired.
    expires_at        timestamptz NOT NULL,
    state             text NOT NULL DEFAULT 'pending'
                      CHECK (state IN ('pending', 'approved', 'denied')),
    decided_at        timestamptz,
    -- The run that goes on.
    decided_run       uuid,
    reason            text NOT NULL DEFAULT '',
    -- What was approved: as asked, or changed by the person.
    decided_arguments text,
    decided_digest    text,
    -- Set before the tool is called: from then on nobody calls it again.
    called_at         timestamptz,
    CHECK ((state = 'pending') = (decided_at IS NULL)),
    CHECK ((state = 'pending') = (decided_run IS NULL)),
    CHECK ((state = 'approved') = (decided_arguments IS NOT NULL)),
    CHECK ((state = 'approved') = (decided_digest IS NOT NULL)),
    CHECK (called_at IS NULL OR state = 'approved')
);

CREATE INDEX approvals_by_subject ON approvals (subject, created_at DESC, id DESC);
CREATE INDEX approvals_by_time ON approvals (created_at);

-- Who decided what, when and why. No value of an argument; stays when the approval goes.
CREATE TABLE approval_decisions (
    -- The key of the table: there is one decision of an approval.
    approval_id    uuid PRIMARY KEY,
    asked_run      uuid NOT NULL,
    run_id         uuid NOT NULL,
    subject        text NOT NULL,
    -- The person's name at that time, for people who read the table.
    name           text NOT NULL,
    tool           text NOT NULL,
    decision       text NOT NULL CHECK (decision IN ('approved', 'denied')),
    asked_digest   text NOT NULL,
    -- Null when it was denied.
    decided_digest text,
    -- Names of the arguments that the person changed.
    changed        text[] NOT NULL,
    reason         text NOT NULL,
    decided_at     timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX approval_decisions_by_subject ON approval_decisions (subject, decided_at DESC);
