-- What a response that is answered in the background repeats of its request, told while it is written:
-- JSON, as a text, as in `responses`. Null where chat completions were asked. Safe while older replicas
-- run, which leave it null. What is touched waits for whoever writes there: rather fail, and be started
-- again.
set local lock_timeout = '5s';

alter table answer_streams add column repeated text;
