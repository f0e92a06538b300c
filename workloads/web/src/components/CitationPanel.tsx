import { useRef } from "react";
import type { Citation } from "../api/types";
import { useI18n } from "../i18n/context";
import { useFocusInside } from "../lib/useFocusInside";

/** The passage that an answer rests on, beside the answer. Closes with Escape. */
export function CitationPanel({ citation, onClose }: { citation: Citation; onClose(): void }) {
  const { t } = useI18n();
  const panel = useRef<HTMLElement>(null);
  const heading = useFocusInside<HTMLHeadingElement>(citation, panel);
  return (
    <aside
      className="panel"
      ref={panel}
      data-testid="citation-panel"
      aria-labelledby="citation-title"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header>
        <h2 id="citation-title" ref={heading} tabIndex={-1}>
          {t("citation.title", { number: citation.number })}
        </h2>
        <button onClick={onClose}>{t("close")}</button>
      </header>
      <p className="name">{citation.document_name}</p>
      {citation.heading && <p className="hint">{citation.heading}</p>}
      <blockquote data-testid="passage">{citation.passage}</blockquote>
      <p className="hint">
        {t("citation.place", {
          index: citation.chunk_index + 1,
          score: citation.score.toFixed(2),
        })}
      </p>
    </aside>
  );
}
