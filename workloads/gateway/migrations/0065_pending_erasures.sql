-- People whom the orchestrator has still to erase, from before it is asked until it says that it has.
-- Safe while older replicas run, which do not know the table.
create table pending_erasures (
    subject text primary key,
    -- When it was noted, or failed: what failed stands behind the others.
    since   timestamptz not null default clock_timestamp()
);
create index pending_erasures_by_time on pending_erasures (since);
