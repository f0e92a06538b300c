//! What the answers that are open rest on.

use std::sync::Arc;

use sqlx::Row as _;

use super::{Store, StoreError, within};
use crate::identity::SessionHash;
use crate::identity::watch::{Ground, Standing, Why};

/// Standings of one kind, column by column.
#[derive(Default)]
struct Columns<Id> {
    ids: Vec<Id>,
    /// JSON: an array of arrays must be rectangular.
    groups: Vec<String>,
    said_at: Vec<i64>,
    places: Vec<i64>,
}

impl<Id> Columns<Id> {
    fn add(&mut self, id: Id, standing: &Standing, place: i64) {
        self.ids.push(id);
        self.groups
            .push(serde_json::json!(standing.groups).to_string());
        let said_at = i64::try_from(standing.said_at).unwrap_or(i64::MAX);
        self.said_at.push(said_at);
        self.places.push(place);
    }
}

impl Store {
    /// Which of these are over, by their place, and why.
    ///
    /// A session or an API key is held to what it has now. Of the bearer of a token nothing is kept;
    /// where the person has sessions or API keys, what was said last of the person counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fallen(
        &self,
        standings: &[Arc<Standing>],
    ) -> Result<Vec<(usize, Why)>, StoreError> {
        let mut sessions = Columns::<Vec<u8>>::default();
        let (mut keys, mut tokens) = (Columns::<String>::default(), Columns::<String>::default());
        for (place, standing) in (0..).zip(standings) {
            match &standing.ground {
                Ground::Session(hash) => sessions.add(hash.to_vec(), standing, place),
                Ground::Key(id) => keys.add(id.clone(), standing, place),
                // PostgreSQL has no text for it, so nothing is kept of such a person.
                Ground::Token(subject) if subject.contains('\0') => {}
                Ground::Token(subject) => tokens.add(subject.clone(), standing, place),
            }
        }
        let statement = sqlx::query(
            "select o.place, s.id_hash is null
             from unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[])
                  as o (id, had, said_at, place)
             left join sessions s on s.id_hash = o.id and s.expires_at > now()
             where s.id_hash is null
                or (extract(epoch from s.said_at) >= o.said_at
                    and not (o.had::jsonb <@ to_jsonb(s.groups)))
             union all
             select o.place, k.id is null
             from unnest($5::text[], $6::text[], $7::bigint[]) as o (id, had, place)
             left join (api_keys k join key_owners w on w.subject = k.owner)
                  on k.id = o.id and k.expires_at > now()
             where k.id is null
                or not (o.had::jsonb <@ to_jsonb(k.groups) and o.had::jsonb <@ to_jsonb(w.groups))
             union all
             select o.place, false
             from unnest($8::text[], $9::text[], $10::bigint[], $11::bigint[])
                  as o (subject, had, said_at, place)
             cross join lateral (
                select said.groups
                from (select w.groups, w.said_at from key_owners w where w.subject = o.subject
                      union all
                      select s.groups, s.said_at from sessions s
                      where s.subject = o.subject and s.expires_at > now()) said
                where extract(epoch from said.said_at) > o.said_at
                order by said.said_at desc limit 1) newest
             where not (o.had::jsonb <@ to_jsonb(newest.groups))",
        )
        .bind(sessions.ids)
        .bind(sessions.groups)
        .bind(sessions.said_at)
        .bind(sessions.places)
        .bind(keys.ids)
        .bind(keys.groups)
        .bind(keys.places)
        .bind(tokens.ids)
        .bind(tokens.groups)
        .bind(tokens.said_at)
        .bind(tokens.places)
        .fetch_all(&self.pool);
        let rows = within("look after open answers", statement).await?;
        let fallen = rows.iter().map(|row| {
            let place = usize::try_from(row.get::<i64, _>(0)).unwrap_or(usize::MAX);
            let why = if row.get::<bool, _>(1) {
                Why::SignedOut
            } else {
                Why::RightsChanged
            };
            (place, why)
        });
        Ok(fallen.collect())
    }

    /// Keeps the groups that the newest token of a session names, issued at `said_at` in Unix
    /// seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_groups(
        &self,
        session: &SessionHash,
        groups: &[String],
        said_at: u64,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update sessions set groups = $2, said_at = to_timestamp($3)
             where id_hash = $1 and (said_at is null or said_at <= to_timestamp($3))",
        )
        .bind(session.as_slice())
        .bind(groups)
        .bind(said_at as f64)
        .execute(&self.pool);
        within("note the groups of a session", statement)
            .await
            .map(|_| ())
    }
}
