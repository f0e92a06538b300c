import { useLayoutEffect, useRef } from "react";
import type { Citation } from "../api/types";
import { useI18n } from "../i18n/context";
import { spokenEnd } from "../lib/outcome";
import type { useConversation } from "../lib/useConversation";
import { useFollow } from "../lib/useFollow";
import { Answer } from "./Answer";

type Shown = Pick<
  ReturnType<typeof useConversation>,
  "id" | "turns" | "reading" | "hasOlder" | "busy" | "branch" | "decide" | "loadOlder"
>;

interface Props {
  conversation: Shown;
  onCitation(citation: Citation): void;
  onUsage(): void;
  onError(error: unknown): void;
}

/** What was said in the open conversation, the newest at the bottom. */
export function Turns({ conversation, onCitation, onUsage, onError }: Props) {
  const { t } = useI18n();
  const { id, turns, reading, hasOlder, busy, branch, decide, loadOlder } = conversation;
  /** What stood first when older messages were asked for: one reads on from there. */
  const held = useRef<Element | null>(null);
  const first = turns[0]?.key;
  const last = turns.at(-1);
  const { list, end, onScroll } = useFollow(last?.key, last?.text);
  /** The answer that was written here: of no other one the end is told. */
  const written = useRef<string | null>(null);
  if (busy && last) written.current = last.key;
  const ended = last?.key === written.current && last ? spokenEnd(last) : null;
  useLayoutEffect(() => {
    held.current?.scrollIntoView({ block: "start" });
    held.current = null;
  }, [first]);
  const onOlder = () => {
    held.current = list.current?.querySelector("article") ?? null;
    void loadOlder();
  };
  return (
    <div className="turns" ref={list} onScroll={onScroll}>
      {turns.length === 0 && reading !== "unread" && (
        <p className="hint">{t(reading === "reading" ? "loading" : "answer.welcome")}</p>
      )}
      {hasOlder && (
        <button className="older" data-testid="older" onClick={onOlder}>
          {t("answer.older")}
        </button>
      )}
      {turns.map((turn) =>
        turn.role === "user" ? (
          <article key={turn.key} className="turn user" aria-label={t("answer.you")}>
            <p className="text">{turn.text}</p>
          </article>
        ) : (
          <Answer
            key={turn.key}
            turn={turn}
            onCitation={onCitation}
            onUsage={onUsage}
            deciding={{ busy, onDecide: decide, onError }}
            {...(id && { onBranch: () => void branch(turn) })}
          />
        ),
      )}
      {/* One sentence at the beginning and the end: every token would drown a screen reader. */}
      <p className="visually-hidden" role="status" aria-live="polite">
        {busy ? t("answer.writing") : ended ? t(ended) : ""}
      </p>
      <div ref={end} />
    </div>
  );
}
