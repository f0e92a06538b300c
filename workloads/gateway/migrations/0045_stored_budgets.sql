-- Budgets that administrators made while the gateway runs, beside those of its file. Only a new
-- table: safe while older replicas run, which do not know these budgets.
create table stored_budgets (
    name            text primary key,
    scope           text not null,
    -- For whom of them; everybody when it is empty.
    names           text[] not null,
    per             text not null,
    -- Most of each kind within a window; what is null is not limited.
    requests        bigint,
    tokens          bigint,
    -- Millionths of the currency's unit.
    micros          bigint,
    unknown_price   text not null,
    warn_at_percent bigint not null,
    check (requests is not null or tokens is not null or micros is not null)
);
