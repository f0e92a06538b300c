import { KINDS, type BudgetState, type Kind } from "../../api/usageTypes";
import { useI18n } from "../../i18n/context";
import { bareText, formOf } from "../../lib/amounts";
import { budgetTitle, limitText } from "../../lib/refusal";
import { percentOf, standingOf, type Standing } from "../../lib/usage";
import { Meter } from "./Meter";

interface Props {
  budget: BudgetState;
  /** Whether it may be somebody else's. */
  isAll: boolean;
}

/** A budget: how much of each of its limits is used, and when it begins anew. */
export function BudgetCard({ budget, isAll }: Props) {
  const i18n = useI18n();
  const { t, moment, until } = i18n;
  const standing = standingOf(budget);
  const { name, subject, resets_at, unpriced_requests: unpriced } = budget;
  const title =
    isAll && budget.scope === "User"
      ? t("budget.ofOther", { name, subject: subject ?? "" })
      : budgetTitle(i18n, budget);
  return (
    <li
      className={"budget is-" + standing}
      data-testid="budget"
      data-name={name}
      data-standing={standing}
    >
      <p className="budget-title">
        {title} <StandingMark standing={standing} />
      </p>
      {KINDS.map(
        (kind) =>
          budget.limits[kind] !== undefined && (
            <Limit key={kind} budget={budget} kind={kind} standing={standing} />
          ),
      )}
      <p className="hint">
        {t("stop.resets", { when: moment(resets_at), until: until(resets_at) })}
        {unpriced > 0 && <> {t("budget.unpriced", { count: unpriced })}</>}
      </p>
    </li>
  );
}

const MARKS: Record<Standing, string> = { ok: "✓", warning: "!", stop: "✕" };

/** Said in words and by a sign: a colour alone says nothing to many. */
function StandingMark({ standing }: { standing: Standing }) {
  const { t } = useI18n();
  return (
    <span className={"standing is-" + standing}>
      <span aria-hidden="true">{MARKS[standing]} </span>
      {t(`standing.${standing}`)}
    </span>
  );
}

function Limit(props: { budget: BudgetState; kind: Kind; standing: Standing }) {
  const i18n = useI18n();
  const { t, language, amount } = i18n;
  const { budget, kind } = props;
  const limit = budget.limits[kind] ?? 0;
  const used = t("budget.usedOf", {
    used: bareText(language, budget.used[kind] ?? 0),
    limit: limitText(i18n, kind, limit, budget.per),
  });
  const rest = budget.left[kind] ?? 0;
  const left = t(`budget.left.${formOf(language, rest)}`, { left: amount(kind, rest) });
  return (
    <div className="limit">
      <p>
        <span>{used}</span> <strong>{left}</strong>
      </p>
      <Meter
        label={t(`kind.${kind}`)}
        text={used + ". " + left}
        percent={percentOf(budget, kind)}
        warnAt={budget.warn_at_percent}
        standing={props.standing}
      />
    </div>
  );
}
