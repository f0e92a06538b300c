//! What becomes of conversations: another title, a branch, their end and their way back.

use sqlx::Row as _;
use uuid::Uuid;

use super::conversations::{summary, summary_columns};
use super::{Change, ConversationSummary, Store, StoreError, rfc3339, within};

/// A deleted conversation can be brought back for this long.
const UNDO: &str = "24 hours";

/// A branch to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBranch<'b> {
    /// Identity of the branch.
    pub id: Uuid,
    /// Whose it is, and what it comes from.
    pub owner: &'b str,
    /// The conversation that it comes from.
    pub source: Uuid,
    /// The last message that it has of that.
    pub message: Uuid,
    /// Its title; `None` is that of what it comes from.
    pub title: Option<&'b str>,
}

/// What a wish to branch came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Branched {
    /// The branch is there.
    Made(ConversationSummary),
    /// The owner has no such conversation.
    NoConversation,
    /// The conversation has no such message.
    NoMessage,
}

impl Store {
    /// Gives one of the owner's conversations another title. Its place in the list stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rename_conversation(
        &self,
        owner: &str,
        id: Uuid,
        title: &str,
    ) -> Result<Option<ConversationSummary>, StoreError> {
        let statement = sqlx::query(concat!(
            "update conversations set title = $3
             where owner = $1 and id = $2 and deleted_at is null returning ",
            summary_columns!()
        ))
        .bind(owner)
        .bind(id)
        .bind(title)
        .fetch_optional(&self.pool);
        let row = within("rename a conversation", statement).await?;
        Ok(row.as_ref().map(summary))
    }

    /// Deletes one of the owner's conversations; says whether there was one. It can be brought
    /// back for a day, and nobody sees it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_conversation(&self, owner: &str, id: Uuid) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "update conversations set deleted_at = now()
             where owner = $1 and id = $2 and deleted_at is null",
        )
        .bind(owner)
        .bind(id)
        .execute(&self.pool);
        within("delete a conversation", statement)
            .await
            .map(|done| done.rows_affected() > 0)
    }

    /// Brings one of the owner's deleted conversations back; one that is not deleted stays as it
    /// is. `None` when there is none, or it was deleted too long ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore_conversation(
        &self,
        owner: &str,
        id: Uuid,
    ) -> Result<Option<ConversationSummary>, StoreError> {
        let statement = sqlx::query(concat!(
            "update conversations set deleted_at = null
             where owner = $1 and id = $2
               and (deleted_at is null or deleted_at > now() - $3::interval) returning ",
            summary_columns!()
        ))
        .bind(owner)
        .bind(id)
        .bind(UNDO)
        .fetch_optional(&self.pool);
        let row = within("restore a conversation", statement).await?;
        Ok(row.as_ref().map(summary))
    }

    /// Deletes for good at most `most` conversations that nobody can bring back any more, and those
    /// that were not used for `days`; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_conversations(
        &self,
        days: Option<i32>,
        most: i64,
    ) -> Result<u64, StoreError> {
        let statement = sqlx::query(
            "delete from conversations where id in (
                 select id from conversations
                 where deleted_at <= now() - $1::interval
                    or updated_at <= now() - make_interval(days => $2)
                 limit $3 for update skip locked)",
        )
        .bind(UNDO)
        .bind(days)
        .bind(most)
        .execute(&self.pool);
        within("purge conversations", statement)
            .await
            .map(|done| done.rows_affected())
    }
}

impl Change {
    /// Deletes messages of a conversation for good: the answer of a run, and others.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn delete_messages(
        &mut self,
        conversation_id: Uuid,
        answer: Option<Uuid>,
        others: &[Uuid],
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "delete from messages
             where conversation_id = $1 and (run_id = $2 or id = any($3))",
        )
        .bind(conversation_id)
        .bind(answer)
        .bind(others)
        .execute(&mut *self.tx);
        within("delete messages", statement).await.map(|_| ())
    }

    /// Deletes a conversation for good in which nothing is. It must be locked: what is said in it
    /// meanwhile would go with it.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn delete_if_empty(
        &mut self,
        conversation_id: Uuid,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "delete from conversations c
             where c.id = $1 and not exists (
                 select from messages m where m.conversation_id = c.id)",
        )
        .bind(conversation_id)
        .execute(&mut *self.tx);
        within("delete an empty conversation", statement)
            .await
            .map(|_| ())
    }

    /// Makes a conversation of all messages of another up to one of them. They are copies: what
    /// becomes of one conversation does not touch the other. Only the run of an answer stays where
    /// it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch_conversation(
        &mut self,
        new: &NewBranch<'_>,
    ) -> Result<Branched, StoreError> {
        // Locked against its end for good, and against nothing else.
        let source = sqlx::query(
            "select (select position from messages m
                     where m.id = $3 and m.conversation_id = c.id)
             from conversations c
             where c.id = $1 and c.owner = $2 and c.deleted_at is null for key share",
        )
        .bind(new.source)
        .bind(new.owner)
        .bind(new.message)
        .fetch_optional(&mut *self.tx);
        let Some(row) = within("find what to branch", source).await? else {
            return Ok(Branched::NoConversation);
        };
        let Some(position) = row.get::<Option<i64>, _>(0) else {
            return Ok(Branched::NoMessage);
        };
        let branch = sqlx::query(concat!(
            "insert into conversations (id, owner, title, origin_conversation, origin_message)
             select $1, owner, coalesce($4, title), id, $3 from conversations where id = $2
             returning ",
            summary_columns!()
        ))
        .bind(new.id)
        .bind(new.source)
        .bind(new.message)
        .bind(new.title)
        .fetch_one(&mut *self.tx);
        let made = summary(&within("store a branch", branch).await?);
        let messages = sqlx::query(
            "insert into messages (id, conversation_id, role, content, outcome, model, decision,
                                   citations, tool_calls, function_calls, function_call_id, created_at)
             select gen_random_uuid(), $1, role, content, outcome, model, decision, citations,
                    tool_calls, function_calls, function_call_id, created_at
             from messages where conversation_id = $2 and position <= $3 order by position",
        )
        .bind(new.id)
        .bind(new.source)
        .bind(position)
        .execute(&mut *self.tx);
        within("store the messages of a branch", messages).await?;
        Ok(Branched::Made(made))
    }
}
