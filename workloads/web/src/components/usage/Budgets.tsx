import { useCallback } from "react";
import { usage } from "../../api/usage";
import type { BudgetState } from "../../api/usageTypes";
import { useI18n } from "../../i18n/context";
import { byUrgency } from "../../lib/usage";
import { useLoad } from "../../lib/useLoad";
import { usePages } from "../../lib/usePages";
import { Listing } from "../account/Listing";
import { BudgetCard } from "./BudgetCard";
import { Loading } from "./Loading";

interface Props {
  /** Changes when it must be read again. */
  version: number;
  onError(error: unknown): void;
}

/** What is left of the budgets that the person's questions count in. */
export function OwnBudgets({ version, onError }: Props) {
  const { t } = useI18n();
  const loaded = useLoad(usage.budgets, onError, version);
  return (
    <section aria-labelledby="usage-budgets" data-testid="budgets">
      <h3 id="usage-budgets">{t("budgets.title")}</h3>
      <p className="hint">{t("budgets.hint")}</p>
      <Loading of={loaded}>{(page) => <OwnList budgets={page.items} />}</Loading>
    </section>
  );
}

export function OwnList({ budgets }: { budgets: BudgetState[] }) {
  const { t } = useI18n();
  if (budgets.length === 0) return <p data-testid="no-budgets">{t("budgets.none")}</p>;
  return (
    <ul className="budgets">
      {byUrgency(budgets).map((budget) => (
        <BudgetCard key={budget.name + " " + budget.subject} budget={budget} isAll={false} />
      ))}
    </ul>
  );
}

/** What is left of everybody's budgets of which something is used. */
export function EverybodysBudgets({ version, onError }: Props) {
  const { t } = useI18n();
  const read = useCallback(async (cursor?: string) => {
    const page = await usage.everybodysBudgets(cursor);
    const items = page.items.map((budget) => ({
      ...budget,
      id: [budget.name, budget.subject, budget.resets_at].join(" "),
    }));
    return { ...page, items };
  }, []);
  const pages = usePages(read, onError, version);
  return (
    <section aria-labelledby="usage-budgets" data-testid="budgets">
      <h3 id="usage-budgets">{t("budgets.all")}</h3>
      <p className="hint">{t("budgets.allHint")}</p>
      <Listing pages={pages} none={t("budgets.allNone")}>
        {(budget) => <BudgetCard key={budget.id} budget={budget} isAll />}
      </Listing>
    </section>
  );
}
