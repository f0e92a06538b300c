-- What may be spent, what was spent, and answers that are given again. Only new tables and
-- functions: safe while older replicas run.

-- One counter per budget, subject and window. A window is a minute, a day or a month in UTC.
create table budget_windows (
    budget    text not null,
    -- A user, group or API key; empty for the platform.
    subject   text not null,
    starts_at timestamptz not null,
    ends_at   timestamptz not null,
    requests  bigint not null default 0,
    tokens    bigint not null default 0,
    -- Millionths of the currency's unit.
    micros    bigint not null default 0,
    -- Requests whose price is not known: then the money is a lower bound.
    unpriced  bigint not null default 0,
    primary key (budget, subject, starts_at)
);
create index budget_windows_by_end on budget_windows (ends_at);

-- A question to a model: reserved before it is asked, settled with its answer, then folded into
-- the counters and the usage, and deleted. What nobody settles before its lease ends is charged as
-- it was reserved.
create table spendings (
    run_id          uuid primary key,
    -- The windows it counts in, as three lists of the same length.
    budgets         text[] not null,
    subjects        text[] not null,
    starts          timestamptz[] not null,
    reserved_tokens bigint not null,
    reserved_micros bigint not null,
    lease_until     timestamptz not null,
    settled         boolean not null,
    -- What it is charged with.
    created_at      timestamptz not null default now(),
    subject         text not null,
    api_key         text not null,
    provider        text not null,
    model           text not null,
    currency        text not null,
    price_version   text not null,
    input_tokens    bigint not null,
    output_tokens   bigint not null,
    -- Unknown, never zero, when the price is not known.
    micros          bigint,
    estimated       boolean not null
);
create index spendings_settled on spendings (run_id) where settled;
create index spendings_by_lease on spendings (lease_until) where not settled;

-- Usage by day, for people. It is kept.
create table usage_days (
    id            bigint generated always as identity,
    day           date not null,
    subject       text not null,
    api_key       text not null,
    provider      text not null,
    model         text not null,
    currency      text not null,
    price_version text not null,
    requests      bigint not null,
    input_tokens  bigint not null,
    output_tokens bigint not null,
    micros        bigint not null,
    unpriced      bigint not null,
    estimated     bigint not null,
    primary key (subject, day, api_key, provider, model, currency, price_version)
);
create index usage_days_by_day on usage_days (day desc, id desc);

-- Checks and reserves all budgets of a question, or none of them. Gives, in the order of the
-- arguments, what is used in each window: with the question when it is admitted, else without.
-- Counters are locked in the order of their keys, so that two calls never wait for each other.
create function reserve_budgets(
    p_run uuid, p_subject text, p_api_key text,
    p_budgets text[], p_subjects text[], p_starts timestamptz[], p_ends timestamptz[],
    p_max_requests bigint[], p_max_tokens bigint[], p_max_micros bigint[],
    p_input bigint, p_output bigint, p_micros bigint,
    p_currency text, p_price_version text, p_lease interval
) returns table (admitted boolean, requests bigint, tokens bigint, micros bigint, unpriced bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    fits boolean;
begin
    insert into budget_windows (budget, subject, starts_at, ends_at)
    select b, s, w, e from unnest(p_budgets, p_subjects, p_starts, p_ends) as a(b, s, w, e)
    order by b, s, w
    on conflict do nothing;

    perform 1 from budget_windows w
    join unnest(p_budgets, p_subjects, p_starts) as a(b, s, t)
        on w.budget = a.b and w.subject = a.s and w.starts_at = a.t
    order by w.budget, w.subject, w.starts_at
    for update of w;

    -- Each statement of a function sees what was committed before it, so this reads what the
    -- locks have made certain.
    select bool_and(
        (a.r is null or w.requests + 1 <= a.r)
        and (a.k is null or w.tokens + p_input + p_output <= a.k)
        and (a.m is null or w.micros + coalesce(p_micros, 0) <= a.m))
    into fits
    from budget_windows w
    join unnest(p_budgets, p_subjects, p_starts, p_max_requests, p_max_tokens, p_max_micros)
        as a(b, s, t, r, k, m)
        on w.budget = a.b and w.subject = a.s and w.starts_at = a.t;

    if fits then
        update budget_windows w
        set requests = w.requests + 1, tokens = w.tokens + p_input + p_output,
            micros = w.micros + coalesce(p_micros, 0)
        from unnest(p_budgets, p_subjects, p_starts) as a(b, s, t)
        where w.budget = a.b and w.subject = a.s and w.starts_at = a.t;

        insert into spendings (run_id, budgets, subjects, starts, reserved_tokens,
                               reserved_micros, lease_until, settled, subject, api_key, provider,
                               model, currency, price_version, input_tokens, output_tokens,
                               micros, estimated)
        values (p_run, p_budgets, p_subjects, p_starts, p_input + p_output,
                coalesce(p_micros, 0), now() + p_lease, false, p_subject, p_api_key, '', '',
                p_currency, p_price_version, p_input, p_output, p_micros, true);
    end if;

    return query
    select fits, w.requests, w.tokens, w.micros, w.unpriced
    from unnest(p_budgets, p_subjects, p_starts) with ordinality as a(b, s, t, n)
    join budget_windows w on w.budget = a.b and w.subject = a.s and w.starts_at = a.t
    order by a.n;
end
$$;

-- Folds settled and forgotten spendings into counters and usage; says how many. Counters that many
-- questions share are touched once for all of them, and never while somebody waits for an answer.
create function fold_spendings(p_most integer) returns bigint
language plpgsql as $$
declare
    runs uuid[];
begin
    -- One replica at a time: a second one would only wait for the same counters.
    if not pg_try_advisory_xact_lock(4919371862015573) then
        return 0;
    end if;
    select array_agg(picked.run_id) into runs from (
        select run_id from spendings where settled or lease_until <= now()
        limit p_most for update skip locked
    ) picked;
    if runs is null then
        return 0;
    end if;

    insert into usage_days as u (day, subject, api_key, provider, model, currency, price_version,
                                 requests, input_tokens, output_tokens, micros, unpriced,
                                 estimated)
    select (created_at at time zone 'utc')::date, subject, api_key, provider, model, currency,
           price_version, count(*), sum(input_tokens), sum(output_tokens),
           coalesce(sum(micros), 0), count(*) filter (where micros is null),
           count(*) filter (where estimated)
    from spendings where run_id = any(runs)
    group by 1, 2, 3, 4, 5, 6, 7
    on conflict (subject, day, api_key, provider, model, currency, price_version) do update
    set requests = u.requests + excluded.requests,
        input_tokens = u.input_tokens + excluded.input_tokens,
        output_tokens = u.output_tokens + excluded.output_tokens,
        micros = u.micros + excluded.micros,
        unpriced = u.unpriced + excluded.unpriced,
        estimated = u.estimated + excluded.estimated;

    perform 1 from budget_windows w
    where exists (
        select 1 from spendings s, unnest(s.budgets, s.subjects, s.starts) as a(b, s, t)
        where s.run_id = any(runs) and a.b = w.budget and a.s = w.subject and a.t = w.starts_at
    )
    order by w.budget, w.subject, w.starts_at
    for update of w;

    -- Where the price turned out not to be known, what was reserved stays charged.
    update budget_windows w
    set tokens = w.tokens + d.tokens, micros = w.micros + d.micros,
        unpriced = w.unpriced + d.unpriced
    from (
        select a.b, a.s, a.t,
               sum(s.input_tokens + s.output_tokens - s.reserved_tokens)::bigint as tokens,
               sum(coalesce(s.micros, s.reserved_micros) - s.reserved_micros)::bigint as micros,
               count(*) filter (where s.micros is null) as unpriced
        from spendings s, unnest(s.budgets, s.subjects, s.starts) as a(b, s, t)
        where s.run_id = any(runs)
        group by 1, 2, 3
    ) d
    where w.budget = d.b and w.subject = d.s and w.starts_at = d.t;

    delete from spendings where run_id = any(runs);
    return cardinality(runs);
end
$$;

-- Requests with an Idempotency-Key, and their answers.
create table idempotency_keys (
    owner        text not null,
    key          text not null,
    -- `running` until the answer is known; `unkept` when it is not stored.
    state        text not null check (state in ('running', 'kept', 'unkept')),
    lease_until  timestamptz not null,
    expires_at   timestamptz not null,
    -- The rest is known when it has ended.
    request_hash bytea,
    status       smallint,
    -- Names and values of headers, in turn.
    headers      text[],
    body         bytea,
    primary key (owner, key)
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
