import type { Refusal } from "../api/usageTypes";
import { useI18n } from "../i18n/context";
import { USAGE } from "../lib/place";
import { refusalText } from "../lib/refusal";
import { LocalLink } from "./LocalLink";
import "./budgets.css";

interface Props {
  refusal: Refusal;
  /** Shows what was used and what is left. */
  onUsage(): void;
}

/** In the place of an answer: which budget stopped the question, and when there is more. */
export function BudgetStop({ refusal, onUsage }: Props) {
  const i18n = useI18n();
  const { t } = i18n;
  return (
    <div role="alert" className="stop" data-testid="budget-stop" data-budget={refusal.name}>
      <strong>{t("stop.title")}</strong>
      <p>{refusalText(i18n, refusal)}</p>
      <p>
        {t("stop.more")}{" "}
        <LocalLink href={USAGE} onGo={onUsage}>
          {t("stop.open")}
        </LocalLink>
      </p>
    </div>
  );
}
