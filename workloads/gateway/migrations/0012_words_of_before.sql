-- The messages that there were before. A migration of its own: from the one before on, none is
-- added without a note, and nobody waits for this one.
insert into unsearched_messages (message_id) select id from messages on conflict do nothing;
