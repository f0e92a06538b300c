//! Everything that questions leave behind, in one statement.

use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row as _};

use super::columns::{Conversations, Demanded, Keys, Messages};
use super::{NewQuestion, NewTalk, counter};
use crate::budget::counters::{Counters, Reservation};
use crate::store::group::length;
use crate::store::streams::ALIVE;
use crate::store::{NewStream, StoreError, within};

/// Stores questions and what they reserve, if all conversations that they go on with are their
/// owners' and every counter that is demanded of has room: gives the counters as they were before.
/// Otherwise nothing is stored: `None`.
///
/// # Errors
/// When the database fails, or somebody holds a lock for too long.
pub(super) async fn insert(
    executor: impl PgExecutor<'_>,
    questions: &[&NewQuestion],
    demanded: Demanded<'_>,
) -> Result<Option<Counters>, StoreError> {
    let talks: Vec<&NewTalk> = questions.iter().filter_map(|it| it.talk.as_ref()).collect();
    let conversations = Conversations::of(&talks);
    let messages = Messages::of(&talks);
    let streams: Vec<&NewStream> = talks.iter().filter_map(|it| it.stream.as_ref()).collect();
    let reservations: Vec<&Reservation> = questions
        .iter()
        .filter_map(|it| it.reservation.as_ref())
        .collect();
    let claimed = Keys::of(
        reservations
            .iter()
            .flat_map(|it| &it.claims)
            .map(|it| &it.key),
    );
    let lasts: Vec<i32> = reservations
        .iter()
        .scan(0, |last, it| {
            *last += i32::try_from(it.claims.len()).unwrap_or(i32::MAX);
            Some(*last)
        })
        .collect();
    let numbers = |of: fn(&Reservation) -> i64| -> Vec<i64> {
        reservations.iter().map(|it| of(it)).collect()
    };
    let texts = |of: fn(&Reservation) -> &str| -> Vec<&str> {
        reservations.iter().map(|it| of(it)).collect()
    };
    let stream_texts =
        |of: fn(&NewStream) -> &str| -> Vec<&str> { streams.iter().map(|it| of(it)).collect() };
    let (gone_on, counted) = (
        length(&conversations.known_ids),
        length(&demanded.keys.budgets),
    );
    let statement = sqlx::query(INSERT)
        .bind(conversations.new_ids)
        .bind(conversations.new_owners)
        .bind(conversations.new_titles)
        .bind(conversations.known_ids)
        .bind(messages.ids)
        .bind(messages.conversation_ids)
        .bind(messages.roles)
        .bind(messages.contents)
        .bind(messages.calls)
        .bind(messages.call_ids)
        .bind(streams.iter().map(|it| it.run_id).collect::<Vec<_>>())
        .bind(
            streams
                .iter()
                .map(|it| it.conversation_id)
                .collect::<Vec<_>>(),
        )
        .bind(stream_texts(|it| &it.subject))
        .bind(stream_texts(|it| &it.api_key))
        .bind(stream_texts(|it| &it.model))
        .bind(
            streams
                .iter()
                .map(|it| it.include_usage)
                .collect::<Vec<_>>(),
        )
        .bind(ALIVE.as_secs_f64())
        .bind(demanded.keys.budgets)
        .bind(demanded.keys.subjects)
        .bind(demanded.keys.starts)
        .bind(demanded.added.requests)
        .bind(demanded.added.tokens)
        .bind(demanded.added.micros)
        .bind(claimed.budgets)
        .bind(claimed.subjects)
        .bind(claimed.starts)
        .bind(reservations.iter().map(|it| it.run_id).collect::<Vec<_>>())
        .bind(lasts)
        .bind(texts(|it| &it.subject))
        .bind(texts(|it| &it.api_key))
        .bind(texts(|it| &it.currency))
        .bind(texts(|it| &it.price_version))
        .bind(numbers(|it| it.input_tokens))
        .bind(numbers(|it| it.output_tokens))
        .bind(reservations.iter().map(|it| it.micros).collect::<Vec<_>>())
        .bind(
            reservations
                .iter()
                .map(|it| it.lease.as_secs_f64())
                .collect::<Vec<_>>(),
        )
        .bind(
            streams
                .iter()
                .map(|it| it.repeated.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(gone_on)
        .bind(counted)
        .bind(conversations.known_owners)
        .bind(demanded.most.requests)
        .bind(demanded.most.tokens)
        .bind(demanded.most.micros)
        .fetch_all(executor);
    let rows = within(ACTION, statement).await.map_err(|error| {
        if error.is_locked() {
            StoreError::Slow { action: ACTION }
        } else {
            error
        }
    })?;
    let all_fit = rows.first().is_some_and(|row| row.get(0));
    let is_of_counter = |row: &&PgRow| row.get::<Option<&str>, _>(1).is_some();
    let counters = rows.iter().filter(is_of_counter).map(|row| counter(row, 1));
    Ok(all_fit.then(|| Counters::new(counters)))
}

const ACTION: &str = "store questions";

/// Conversations are locked before counters, and both in the order of their keys, so that two
/// transactions never wait for each other. The server gives up waiting before this process does: what
/// was told to have failed is not stored later. What refers to a conversation is checked at the end of
/// the statement. The claims of a reservation stand together in lists of all of them: they end at its
/// `last`, and begin after that of the one before. Lists are limited as
/// [`Together`](crate::store::group::Together) says.
pub(in crate::store) const INSERT: &str = "
with patience as materialized (
    select set_config('lock_timeout', '2s', true) as is_set
), known as materialized (
    select c.id from conversations c
    where c.deleted_at is null and (select is_set from patience) is not null
      and (c.id, c.owner) in (select * from unnest($4::uuid[], $40::text[]) limit $38)
    order by c.id for no key update
), locked as materialized (
    select w.budget, w.subject, extract(epoch from w.starts_at)::bigint as start,
           w.requests, w.tokens, w.micros, w.unpriced,
           a.most_requests, a.most_tokens, a.most_micros
    from budget_windows w
    join (
        select * from unnest($18::text[], $19::text[], $20::bigint[], $41::bigint[], $42::bigint[],
                             $43::bigint[])
        limit $39
    ) as a(b, s, t, most_requests, most_tokens, most_micros)
      on w.budget = a.b and w.subject = a.s and w.starts_at = to_timestamp(a.t)
    where (select is_set from patience) is not null and (select count(*) from known) = $38
    order by w.budget, w.subject, w.starts_at
    for update of w
), fit as materialized (
    select (select count(*) from known) = $38 and count(*) = $39
           and coalesce(bool_and(requests <= most_requests and tokens <= most_tokens
                                 and micros <= most_micros), true) as all_fit
    from locked
), begun as (
    insert into conversations (id, owner, title)
    select * from unnest($1::uuid[], $2::text[], $3::text[])
    where (select all_fit from fit)
), gone_on as (
    update conversations c set updated_at = now()
    from (select unnest($4::uuid[]) limit $38) as a(id)
    where c.id = a.id and (select all_fit from fit)
), said as (
    insert into messages (id, conversation_id, role, content, function_calls, function_call_id)
    select id, conversation, role, content, calls, call
    from unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::jsonb[], $10::text[])
         with ordinality as a(id, conversation, role, content, calls, call, n)
    where (select all_fit from fit)
    order by n
), streamed as (
    insert into answer_streams (run_id, conversation_id, subject, api_key, model, include_usage,
                                alive_until, repeated)
    select run, conversation, subject, key, model, usage, now() + make_interval(secs => $17),
           repeated
    from unnest($11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::bool[],
                $37::text[])
         as a(run, conversation, subject, key, model, usage, repeated)
    where (select all_fit from fit)
), counted as (
    update budget_windows w
    set requests = w.requests + a.requests, tokens = w.tokens + a.tokens,
        micros = w.micros + a.micros
    from (
        select * from unnest($18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[],
                             $23::bigint[])
        limit $39
    ) as a(b, s, t, requests, tokens, micros)
    where w.budget = a.b and w.subject = a.s and w.starts_at = to_timestamp(a.t)
      and (select all_fit from fit)
), claimed as materialized (
    select array_agg(b order by n) as budgets, array_agg(s order by n) as subjects,
           array_agg(to_timestamp(t) order by n) as starts
    from unnest($24::text[], $25::text[], $26::bigint[]) with ordinality as a(b, s, t, n)
), reserved as (
    insert into spendings (run_id, budgets, subjects, starts, reserved_tokens, reserved_micros,
                           lease_until, settled, subject, api_key, provider, model, currency,
                           price_version, input_tokens, output_tokens, micros, estimated)
    select run, claimed.budgets[first:last], claimed.subjects[first:last],
           claimed.starts[first:last], input + output, coalesce(micros, 0),
           now() + make_interval(secs => lease), false, subject, key, '', '', currency, version,
           input, output, micros, true
    from claimed, (
        select *, 1 + lag(last, 1, 0) over (order by n) as first
        from unnest($27::uuid[], $28::int[], $29::text[], $30::text[], $31::text[], $32::text[],
                    $33::bigint[], $34::bigint[], $35::bigint[], $36::float8[])
             with ordinality as a(run, last, subject, key, currency, version, input, output, micros,
                                  lease, n)
    ) as reservations
    where (select all_fit from fit)
)
select fit.all_fit, locked.budget, locked.subject, locked.start, locked.requests, locked.tokens,
       locked.micros, locked.unpriced
from fit left join locked on true";
