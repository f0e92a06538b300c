-- Folds as before, and holds the counters for as short as it can: questions that reserve wait for
-- them. All that is added is known before they are locked, and the commit follows at once. Lists are
-- limited so that the plan looks each counter up, however many there were when it was made.
create or replace function fold_spendings(p_most integer) returns bigint
language plpgsql as $$
declare
    runs uuid[];
    added_budgets text[];
    added_subjects text[];
    added_starts timestamptz[];
    added_tokens bigint[];
    added_micros bigint[];
    added_unpriced bigint[];
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

    -- Where the price turned out not to be known, what was reserved stays charged.
    select array_agg(d.b), array_agg(d.s), array_agg(d.t), array_agg(d.tokens),
           array_agg(d.micros), array_agg(d.unpriced)
    into added_budgets, added_subjects, added_starts, added_tokens, added_micros, added_unpriced
    from (
        select a.b, a.s, a.t,
               sum(s.input_tokens + s.output_tokens - s.reserved_tokens)::bigint as tokens,
               sum(coalesce(s.micros, s.reserved_micros) - s.reserved_micros)::bigint as micros,
               count(*) filter (where s.micros is null) as unpriced
        from spendings s, unnest(s.budgets, s.subjects, s.starts) as a(b, s, t)
        where s.run_id = any(runs)
        group by 1, 2, 3
    ) d;

    delete from spendings where run_id = any(runs);

    perform 1 from budget_windows w
    join (
        select * from unnest(added_budgets, added_subjects, added_starts)
        limit cardinality(added_budgets)
    ) as a(b, s, t)
        on w.budget = a.b and w.subject = a.s and w.starts_at = a.t
    order by w.budget, w.subject, w.starts_at
    for update of w;

    update budget_windows w
    set tokens = w.tokens + a.tokens, micros = w.micros + a.micros,
        unpriced = w.unpriced + a.unpriced
    from (
        select * from unnest(added_budgets, added_subjects, added_starts, added_tokens,
                             added_micros, added_unpriced)
        limit cardinality(added_budgets)
    ) as a(b, s, t, tokens, micros, unpriced)
    where w.budget = a.b and w.subject = a.s and w.starts_at = a.t;
    return cardinality(runs);
end
$$;
