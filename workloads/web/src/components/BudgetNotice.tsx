import { useState } from "react";
import { warningKey } from "../api/warnings";
import type { Warning } from "../api/usageTypes";
import { useI18n } from "../i18n/context";
import { USAGE } from "../lib/place";
import { LocalLink } from "./LocalLink";
import "./budgets.css";

interface Props {
  /** Of the last answer. */
  warnings: Warning[];
  onUsage(): void;
}

/** One line about budgets that are nearly used up. What was closed stays closed until it is news. */
export function BudgetNotice({ warnings, onUsage }: Props) {
  const { t } = useI18n();
  const [closed, setClosed] = useState<readonly string[]>([]);
  const shown = warnings.filter((warning) => !closed.includes(warningKey(warning)));
  return (
    // It is there before there is anything in it: or else nobody is told when there is.
    <div role="status" className="notices">
      {shown.length > 0 && (
        <div className="notice" data-testid="budget-notice">
          <span>
            {shown.map((warning) => (
              <WarningText key={warningKey(warning)} warning={warning} />
            ))}
            <LocalLink href={USAGE} onGo={onUsage}>
              {t("stop.open")}
            </LocalLink>
          </span>
          <button
            className="quiet"
            aria-label={t("notice.close")}
            onClick={() => setClosed([...closed, ...shown.map(warningKey)])}
          >
            ×
          </button>
        </div>
      )}
    </div>
  );
}

function WarningText({ warning }: { warning: Warning }) {
  const { t, moment, until } = useI18n();
  const { name, kind, percent, resetsAt } = warning;
  if (percent === null) return <>{t("notice.unknown", { name })} </>;
  const what = t(`kind.${kind}`);
  return (
    <>
      {t("notice.nearly", { name, percent, what })}{" "}
      {resetsAt && t("stop.resets", { when: moment(resetsAt), until: until(resetsAt) })}{" "}
    </>
  );
}
