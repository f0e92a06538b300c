-- When each step of a document's ingestion began, by its name, and when the last one ended. Empty for
-- what was ingested before. Safe while older replicas run, which leave both as they are. What is touched
-- waits for whoever writes there: rather fail, and be started again.
set local lock_timeout = '5s';

alter table documents
    add column steps jsonb not null default '{}',
    add column steps_ended_at timestamptz;
