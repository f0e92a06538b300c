//! Conversations by their words. The words of messages are gathered apart from storing them, so
//! that no question and no answer waits for it; until then they are not found.

use serde::Serialize;
use sqlx::Row as _;
use uuid::Uuid;

use super::conversations::{SUMMARY_COLUMNS, summary, summary_columns};
use super::{ConversationSummary, Store, StoreError, rfc3339, within};
use crate::domain::snippet::{self, Piece};

/// A conversation that was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Found {
    /// What lists show, too.
    #[serde(flatten)]
    pub conversation: ConversationSummary,
    /// Its newest message with the words; `null` when only its title has them.
    pub message_id: Option<Uuid>,
    /// Where that message has them, in pieces; empty without a message. It is text: a `<` in it is
    /// a `<`.
    pub snippet: Vec<Piece>,
}

impl Store {
    /// The owner's conversations that have the words of `query` in one of their messages or in
    /// their title, the most recently used first, after `after` (microseconds and id).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_conversations(
        &self,
        owner: &str,
        query: &str,
        after: Option<(i64, Uuid)>,
        limit: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let (micros, id) = after.unwrap_or((i64::MAX, Uuid::max()));
        // The snippet is cut last, of the rows of one page only: in the language in which the
        // words are found. What it is cut from may lack its accents, so the text as it was written
        // comes with it.
        let statement = sqlx::query(concat!(
            "select ",
            summary_columns!(),
            ", message_id, marked,
               case when strpos(folded, plain) > 0
                    then substr(written, strpos(folded, plain), length(plain)) end
             from (
                 select c.*, hit.message_id, m.content
                 from conversations c
                 left join (
                     select distinct on (w.conversation_id) w.conversation_id, w.message_id
                     from message_words w join conversations o on o.id = w.conversation_id
                     where o.owner = $1 and o.deleted_at is null and w.words @@ search_query($2)
                     order by w.conversation_id, w.position desc
                 ) hit on hit.conversation_id = c.id
                 left join messages m on m.id = hit.message_id
                 where c.owner = $1 and c.deleted_at is null
                   and (hit.message_id is not null or search_words(c.title) @@ search_query($2))
                   and ((extract(epoch from c.updated_at) * 1000000)::bigint, c.id) < ($3, $4)
                 order by c.updated_at desc, c.id desc limit $5
             ) page
             left join lateral (
                 select translate(search_text(page.content), $6, '') as written
             ) as it on true
             left join lateral (
                 select to_tsvector('spanish', written) @@ search_part('spanish', $2) as is_spanish
             ) as language on true
             left join lateral (
                 select case when is_spanish then written else search_fold(written) end as folded
             ) as plainly on true
             left join lateral (
                 select case when is_spanish
                        then ts_headline('spanish', folded, search_part('spanish', $2), $7)
                        else ts_headline('english', folded,
                                         search_part('english', search_fold($2)), $7)
                        end as marked
             ) as headline on true
             left join lateral (select translate(marked, $6, '') as plain) as bare on true
             order by updated_at desc, id desc"
        ))
        .bind(owner)
        .bind(query)
        .bind(micros)
        .bind(id)
        .bind(limit)
        .bind(snippet::MARKS)
        .bind(snippet::options())
        .fetch_all(&self.pool);
        let rows = within("search conversations", statement).await?;
        let found = rows.iter().map(|row| {
            let marked: Option<&str> = row.get(SUMMARY_COLUMNS + 1);
            let written: Option<&str> = row.get(SUMMARY_COLUMNS + 2);
            Found {
                conversation: summary(row),
                message_id: row.get(SUMMARY_COLUMNS),
                snippet: marked.map_or_else(Vec::new, |marked| snippet::pieces(marked, written)),
            }
        });
        Ok(found.collect())
    }

    /// Gathers the words of at most `most` messages; says how many of those that wait there were.
    ///
    /// # Errors
    /// When the database fails; then they wait on.
    pub async fn gather_words(&self, most: i64) -> Result<i64, StoreError> {
        // A message that is being deleted is waited for, and passed over when it is gone.
        let statement = sqlx::query(
            "with picked as (
                 select message_id from unsearched_messages limit $1 for update skip locked
             ), noted as (
                 delete from unsearched_messages u using picked
                 where u.message_id = picked.message_id returning u.message_id
             ), gathered as (
                 insert into message_words (message_id, conversation_id, position, words)
                 select m.id, m.conversation_id, m.position, search_words(m.content)
                 from noted join messages m on m.id = noted.message_id
                 for key share of m
                 on conflict do nothing
             )
             select count(*) from noted",
        )
        .bind(most)
        .fetch_one(&self.pool);
        within("gather the words of messages", statement)
            .await
            .map(|row| row.get(0))
    }
}
