import { useId } from "react";
import type { Approval } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { standingAt } from "../../lib/approvals";
import { pathOf } from "../../lib/place";
import { useNow } from "../../lib/useNow";
import type { Pages } from "../../lib/usePages";
import { LocalLink } from "../LocalLink";
import "./approvals.css";

const TICK = 15_000;

interface Props {
  pages: Pages<Approval>;
  onOpen(conversation: string): void;
}

/** What waits for the person, each with the way to where it is decided. Nothing where nothing waits. */
export function Waiting({ pages, onOpen }: Props) {
  const { t, until } = useI18n();
  const id = useId();
  const now = useNow(TICK);
  const items = (pages.items ?? []).filter(
    (item) => standingAt(item.state, item.expires_at, now) === "pending",
  );
  if (items.length === 0) return null;
  return (
    <section className="waiting" aria-labelledby={id} data-testid="waiting">
      <h2 id={id}>{t("approvals.title", { count: countText(items.length, pages.hasMore) })}</h2>
      <ul className="rows">
        {items.map((item) => (
          <li key={item.id} className="row" data-testid="waiting-item" data-tool={item.tool}>
            {item.conversation_id ? (
              <ToConversation item={item} id={item.conversation_id} onOpen={onOpen} />
            ) : (
              <span className="name">{item.tool}</span>
            )}
            <span className="status">
              {t("approvals.expires", { until: until(item.expires_at) })}
              {!item.conversation_id && " " + t("approvals.elsewhere")}
            </span>
          </li>
        ))}
      </ul>
      {pages.hasMore && <button onClick={() => void pages.more()}>{t("more")}</button>}
    </section>
  );
}

function ToConversation(props: { item: Approval; id: string; onOpen(id: string): void }) {
  const { t } = useI18n();
  const { item, id, onOpen } = props;
  return (
    <LocalLink
      className="name"
      href={pathOf(id)}
      aria-label={t("approvals.open", { tool: item.tool })}
      onGo={() => onOpen(id)}
    >
      {item.tool}
    </LocalLink>
  );
}

/** How many there are, as far as they were read. */
export function countText(count: number, hasMore: boolean): string {
  return hasMore ? count + "+" : String(count);
}
