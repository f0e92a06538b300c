-- The words of messages, to find them by. They are gathered in the background (`words.rs`): no
-- question or answer waits for that. Only new tables, whose indexes are made while they are empty,
-- and a trigger, by which messages of older replicas are found as well.

set local lock_timeout = '5s';

-- Texts without the accents that many people leave out. Every character stays where it is. An ñ is
-- another letter than an n; a large one becomes small here, because not every database knows how.
create function search_fold(text) returns text
language sql immutable strict parallel safe as $$
    select translate($1, 'áàâäéèêëíìîïóòôöúùûüÁÀÂÄÉÈÊËÍÌÎÏÓÒÔÖÚÙÛÜÑ',
                         'aaaaeeeeiiiioooouuuuAAAAEEEEIIIIOOOOUUUUñ')
$$;

-- What of a text is searched: so much that no text has more words than a tsvector holds (1 MiB).
create function search_text(text) returns text
language sql immutable strict parallel safe as $$
    select left($1, 30000)
$$;

-- The words of a text in both languages: in Spanish as it is written, in English without accents.
create function search_words(text) returns tsvector
language sql immutable strict parallel safe as $$
    select to_tsvector('pg_catalog.spanish', search_text($1))
        || to_tsvector('pg_catalog.english', search_fold(search_text($1)))
$$;

-- What somebody looks for in one language: words, "phrases", -without, or. That nothing is left of
-- it but words such as "the" is no news.
create function search_part(regconfig, text) returns tsquery
language sql immutable strict set client_min_messages = warning as $$
    select websearch_to_tsquery($1, $2)
$$;

-- What somebody looks for in both.
create function search_query(text) returns tsquery
language sql immutable strict as $$
    select search_part('pg_catalog.spanish', $1)
        || search_part('pg_catalog.english', search_fold($1))
$$;

create table message_words (
    message_id      uuid primary key references messages (id) on delete cascade,
    conversation_id uuid not null,
    position        bigint not null,
    words           tsvector not null
);
create index message_words_by_conversation on message_words (conversation_id, position);
create index message_words_by_words on message_words using gin (words);

-- Messages whose words are still to be gathered. Those that are gone meanwhile are passed over.
create table unsearched_messages (
    message_id uuid primary key
);

create function note_unsearched_messages() returns trigger
language plpgsql as $$
begin
    insert into unsearched_messages (message_id) select id from fresh on conflict do nothing;
    return null;
end
$$;

create trigger messages_unsearched after insert on messages
    referencing new table as fresh
    for each statement execute function note_unsearched_messages();
