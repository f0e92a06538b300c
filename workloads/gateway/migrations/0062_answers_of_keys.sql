-- Where the answer is stored that a request with an Idempotency-Key led to, for who lost it. Null where
-- it is not known or not stored. Safe while older replicas run, which leave both empty. What is touched
-- waits for whoever writes there: rather fail, and be started again.
set local lock_timeout = '5s';

alter table idempotency_keys
    add column run_id uuid,
    add column conversation_id uuid;
