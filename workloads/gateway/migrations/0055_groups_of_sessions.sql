-- What the newest token of a session says of its person, for the answers that it began on other
-- replicas: they end when a group is lost. Columns without a default: nothing is rewritten, and
-- replicas of the version before go on meanwhile. Null is not known yet.

-- Whoever waits for the lock holds up everybody else: rather fail, and be started again.
set local lock_timeout = '5s';

alter table sessions
    add column groups text[],
    -- When that token was issued.
    add column said_at timestamptz;
