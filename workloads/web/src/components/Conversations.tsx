import { useCallback, useEffect, useId, useState } from "react";
import { api } from "../api/http";
import type { ConversationSummary } from "../api/types";
import { useI18n } from "../i18n/context";

interface Props {
  current: string | null;
  /** Changes when the list must be read again. */
  version: number;
  onOpen(id: string | null): void;
  onError(error: unknown): void;
}

export function Conversations({ current, version, onOpen, onError }: Props) {
  const { t } = useI18n();
  const id = useId();
  const [items, setItems] = useState<ConversationSummary[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);

  useEffect(() => {
    let current = true;
    api.conversations().then(
      (page) => {
        if (!current) return;
        setItems(page.items);
        setCursor(page.next_cursor);
      },
      (error: unknown) => {
        if (!current) return;
        setItems((known) => known ?? []);
        onError(error);
      },
    );
    return () => {
      current = false;
    };
  }, [version, onError]);

  const more = useCallback(async () => {
    if (!cursor) return;
    try {
      const page = await api.conversations(cursor);
      setItems((known) => [...(known ?? []), ...page.items]);
      setCursor(page.next_cursor);
    } catch (error) {
      onError(error);
    }
  }, [cursor, onError]);

  const remove = async (gone: string) => {
    try {
      await api.removeConversation(gone);
      setItems((known) => (known ?? []).filter((item) => item.id !== gone));
      if (gone === current) onOpen(null);
    } catch (error) {
      onError(error);
    }
  };

  return (
    <section className="conversations" aria-labelledby={id}>
      <h2 id={id}>{t("nav.conversations")}</h2>
      <button className="primary" data-testid="new-conversation" onClick={() => onOpen(null)}>
        {t("conversations.new")}
      </button>
      <ul className="rows">
        {items?.map((item) => (
          <li key={item.id} className="row">
            <a
              className="name"
              data-testid="conversation"
              href={"/c/" + item.id}
              aria-current={item.id === current ? "page" : undefined}
              onClick={(event) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                event.preventDefault();
                onOpen(item.id);
              }}
            >
              {item.title}
            </a>
            <button
              className="quiet"
              aria-label={t("delete.named", { name: item.title })}
              onClick={() => void remove(item.id)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      {items?.length === 0 && <p>{t("conversations.none")}</p>}
      {cursor && <button onClick={() => void more()}>{t("more")}</button>}
    </section>
  );
}
