-- Conversations that can be deleted and brought back, and that come from others. Columns without a
-- default: nothing is rewritten, and replicas of the version before go on meanwhile.

-- Whoever waits for the lock holds up everybody else: rather fail, and be started again.
set local lock_timeout = '5s';

alter table conversations
    -- Deleted, and kept for a while for whoever wants it back.
    add column deleted_at timestamptz,
    -- The conversation that it was branched from, and the last message that both have. They may be
    -- gone.
    add column origin_conversation uuid,
    add column origin_message uuid;
