import { createContext, memo, useContext, useMemo, type ReactNode } from "react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { ApiError } from "../api/http";
import type { Citation, Verdict } from "../api/types";
import { isKey } from "../i18n/dictionary";
import { useI18n } from "../i18n/context";
import { citationOf, remarkCitations } from "../lib/citations";
import { failedText } from "../lib/failed";
import { outcomeOf } from "../lib/outcome";
import type { Turn } from "../lib/useConversation";
import { ApprovalCard } from "./approvals/ApprovalCard";
import { BudgetStop } from "./BudgetStop";

/** How one decides what an answer asks consent for. */
export interface Deciding {
  busy: boolean;
  onDecide(id: string, verdict: Verdict): Promise<unknown>;
  onError(error: unknown): void;
}

interface Props {
  turn: Turn;
  onCitation(citation: Citation): void;
  /** Shows what was used of budgets. */
  onUsage(): void;
  /** Where it can be decided. */
  deciding?: Deciding;
  /** Goes on from this answer in a new conversation, where it is stored. */
  onBranch?(): void;
}

export function Answer({ turn, onCitation, onUsage, deciding, onBranch }: Props) {
  const { t } = useI18n();
  return (
    <article className="turn assistant" aria-label={t("answer.label")} aria-busy={turn.state === "writing"}>
      {turn.decision && <DecisionLine turn={turn} />}
      <div className="text" data-testid="answer" data-state={outcomeOf(turn)}>
        <AnswerText text={turn.text} citations={turn.citations} onCitation={onCitation} />
        {turn.state === "writing" && <span className="cursor" aria-hidden="true" />}
      </div>
      <Outcome turn={turn} onUsage={onUsage} />
      {turn.toolCalls.map((call, index) => (
        <details key={index} className="tool">
          <summary>
            {call.name}
            {call.is_error && ` · ${t("tool.error")}`}
          </summary>
          <pre>{JSON.stringify(call.arguments, null, 2)}</pre>
          <p>{t("tool.result")}</p>
          <pre>{call.result}</pre>
        </details>
      ))}
      {deciding &&
        turn.approvals.map((request) => (
          <ApprovalCard key={request.id} request={request} {...deciding} />
        ))}
      {turn.citations.length > 0 && (
        <nav className="sources" aria-label={t("sources.label")}>
          <ol>
            {turn.citations.map((citation) => (
              <li key={citation.number}>
                <CitationButton citation={citation} onCitation={onCitation}>
                  [{citation.number}] {citation.document_name}
                </CitationButton>
              </li>
            ))}
          </ol>
        </nav>
      )}
      {onBranch && turn.state === "done" && (
        <button className="quiet" data-testid="branch" onClick={onBranch}>
          {t("answer.branch")}
        </button>
      )}
    </article>
  );
}

function DecisionLine({ turn }: { turn: Turn }) {
  const { t } = useI18n();
  const { decision } = turn;
  if (!decision) return null;
  const key = "decision." + decision.route;
  return (
    <p className="decision" data-testid="decision" title={t("decision.label")}>
      <strong>
        {isKey(key) ? t(key) : decision.route}: {decision.target}
      </strong>{" "}
      — {decision.reason}
    </p>
  );
}

function Outcome({ turn, onUsage }: Pick<Props, "turn" | "onUsage">) {
  const { t, explain } = useI18n();
  const outcome = outcomeOf(turn);
  if (outcome === "stopped") return <p className="hint">{t("answer.stopped")}</p>;
  if (outcome !== "failed") return null;
  if (turn.error instanceof ApiError && turn.error.budget) {
    return <BudgetStop refusal={turn.error.budget} onUsage={onUsage} />;
  }
  const text = typeof turn.error === "string" ? failedText(t, turn.error) : explain(turn.error);
  return (
    <p role="alert" className="bad">
      {text}
    </p>
  );
}

type Cited = Pick<Props, "onCitation"> & Pick<Turn, "citations">;

/** What the links of an answer may lead to. */
const Sources = createContext<Cited>({
  citations: [],
  onCitation: () => {},
});

// Made once: a component that is made anew in each render is also mounted anew, and a click on a
// link that is replaced at that moment is lost.
const COMPONENTS: Components = { a: AnswerLink };
// A remote image would tell its server who reads what.
const DISALLOWED = ["img"];

// Kept as it is while another answer is written: with every word of that, all of them are rendered.
const AnswerText = memo(function AnswerText({
  text,
  citations,
  onCitation,
}: Pick<Turn, "text"> & Cited) {
  const plugins = useMemo(() => {
    const numbers = new Set(citations.map((citation) => citation.number));
    return [remarkGfm, remarkCitations(numbers)];
  }, [citations]);
  const sources = useMemo(() => ({ citations, onCitation }), [citations, onCitation]);
  return (
    <Sources value={sources}>
      <Markdown remarkPlugins={plugins} disallowedElements={DISALLOWED} components={COMPONENTS}>
        {text}
      </Markdown>
    </Sources>
  );
});

function AnswerLink({ href, children }: { href?: string | undefined; children?: ReactNode }) {
  const { citations, onCitation } = useContext(Sources);
  const number = citationOf(href);
  const citation = citations.find((it) => it.number === number);
  return citation ? (
    <CitationButton citation={citation} onCitation={onCitation}>
      {children}
    </CitationButton>
  ) : (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function CitationButton(props: {
  citation: Citation;
  onCitation(citation: Citation): void;
  children: ReactNode;
}) {
  const { t } = useI18n();
  const { citation } = props;
  return (
    <button
      type="button"
      className="citation"
      data-testid="citation"
      aria-label={t("citation.open", { number: citation.number, name: citation.document_name })}
      onClick={() => props.onCitation(citation)}
    >
      {props.children}
    </button>
  );
}
