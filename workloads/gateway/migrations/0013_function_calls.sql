-- Functions that the caller runs itself: what an answer asked for, and what came of it.
alter table messages add column function_calls jsonb;
alter table messages add column function_call_id text;
