import { useEffect, useId, useRef, useState } from "react";
import { useI18n } from "../i18n/context";
import type { Item } from "../lib/conversations";
import { pathOf } from "../lib/place";
import { useConversations } from "../lib/useConversations";
import { LocalLink } from "./LocalLink";

interface Props {
  current: string | null;
  /** Changes when the list must be read again. */
  version: number;
  onOpen(id: string | null): void;
  onError(error: unknown): void;
}

export function Conversations({ current, version, onOpen, onError }: Props) {
  const { t, explain } = useI18n();
  const id = useId();
  const list = useConversations(version, onError);

  /** The one that is open by now: another may have been opened while one was being deleted. */
  const open = useRef(current);
  useEffect(() => {
    open.current = current;
  }, [current]);

  const remove = async (gone: string) => {
    if ((await list.remove(gone)) && gone === open.current) onOpen(null);
  };

  return (
    <section className="conversations" aria-labelledby={id}>
      <h2 id={id}>{t("nav.conversations")}</h2>
      <button className="primary" data-testid="new-conversation" onClick={() => onOpen(null)}>
        {t("conversations.new")}
      </button>
      <Search onSearch={list.search} />
      {list.error !== null && (
        <p role="alert" className="bad">
          {explain(list.error)}
        </p>
      )}
      {list.deleted && (
        <p role="status" className="undo">
          {t("conversations.deleted", { name: list.deleted.item.title })}{" "}
          <button data-testid="undo" onClick={() => void list.undo()}>
            {t("conversations.undo")}
          </button>
          <button className="quiet" aria-label={t("close")} onClick={list.forget}>
            ×
          </button>
        </p>
      )}
      <ul className="rows">
        {list.items?.map((item) => (
          <Row
            key={item.id}
            item={item}
            isCurrent={item.id === current}
            onOpen={() => onOpen(item.id)}
            onRename={(title) => void list.rename(item.id, title)}
            onKeep={() => void list.keep(item.id)}
            onRemove={() => void remove(item.id)}
          />
        ))}
      </ul>
      {list.items?.length === 0 && (
        <p>{t(list.words ? "conversations.notFound" : "conversations.none")}</p>
      )}
      {list.hasMore && <button onClick={() => void list.more()}>{t("more")}</button>}
    </section>
  );
}

function Search({ onSearch }: { onSearch(words: string): void }) {
  const { t } = useI18n();
  const [text, setText] = useState("");
  return (
    <form
      role="search"
      className="inline"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(text.trim());
      }}
    >
      <input
        type="search"
        data-testid="search"
        aria-label={t("conversations.search")}
        placeholder={t("conversations.search")}
        maxLength={200}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          // An empty box is the whole list again.
          if (event.target.value === "") onSearch("");
        }}
      />
      <button type="submit">{t("conversations.searchButton")}</button>
    </form>
  );
}

interface RowProps {
  item: Item;
  isCurrent: boolean;
  onOpen(): void;
  onRename(title: string): void;
  /** Saves it as a file. */
  onKeep(): void;
  onRemove(): void;
}

function Row({ item, isCurrent, onOpen, onRename, onKeep, onRemove }: RowProps) {
  const { t } = useI18n();
  const [isRenaming, setRenaming] = useState(false);
  const rename = t("conversations.rename", { name: item.title });
  const keep = t("conversations.export", { name: item.title });
  const remove = t("delete.named", { name: item.title });
  if (isRenaming) {
    return (
      <li className="row">
        <Rename
          title={item.title}
          onDone={(title) => {
            setRenaming(false);
            if (title && title !== item.title) onRename(title);
          }}
        />
      </li>
    );
  }
  return (
    <li className="row">
      <LocalLink
        className="name"
        data-testid="conversation"
        href={pathOf(item.id)}
        aria-current={isCurrent ? "page" : undefined}
        onGo={onOpen}
      >
        {item.branched_from && (
          <span role="img" aria-label={t("conversations.branched")}>
            ↳{" "}
          </span>
        )}
        {item.title}
      </LocalLink>
      <span className="actions">
        <button
          className="quiet"
          data-testid="rename"
          aria-label={rename}
          title={rename}
          onClick={() => setRenaming(true)}
        >
          ✎
        </button>
        <button
          className="quiet"
          data-testid="export-conversation"
          aria-label={keep}
          title={keep}
          onClick={onKeep}
        >
          ↓
        </button>
        <button
          className="quiet"
          data-testid="delete"
          aria-label={remove}
          title={remove}
          onClick={onRemove}
        >
          ×
        </button>
      </span>
      {item.snippet && item.snippet.length > 0 && (
        <span className="snippet">
          {item.snippet.map((piece, index) =>
            piece.is_match ? <mark key={index}>{piece.text}</mark> : piece.text,
          )}
        </span>
      )}
    </li>
  );
}

/** Says the new title, or nothing when there is to be none. */
function Rename({ title, onDone }: { title: string; onDone(title: string | null): void }) {
  const { t } = useI18n();
  const [text, setText] = useState(title);
  return (
    <form
      className="inline"
      onSubmit={(event) => {
        event.preventDefault();
        onDone(text.trim());
      }}
    >
      <input
        autoFocus
        data-testid="title"
        aria-label={t("conversations.title")}
        maxLength={200}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onDone(null);
        }}
      />
      <button type="submit">{t("conversations.save")}</button>
    </form>
  );
}
