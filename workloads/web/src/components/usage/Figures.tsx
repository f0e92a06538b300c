import { useI18n } from "../../i18n/context";
import { dayText, moneyText } from "../../lib/amounts";
import type { Used } from "../../lib/usage";

/** Money of whatever currencies, one beside the other. */
function useMoney() {
  const { t, language } = useI18n();
  return (used: Used) => {
    const amounts = [...used.money].map(([currency, micros]) =>
      moneyText(language, micros, currency),
    );
    if (used.unpriced === 0) return amounts.join(" + ") || moneyText(language, 0, "");
    // Unknown, and never nothing.
    return [...amounts, t("usage.unpriced")].join(" + ");
  };
}

/** What was used in all. */
export function Tiles({ sum }: { sum: Used }) {
  const { t, amount } = useI18n();
  const money = useMoney();
  return (
    <>
      <dl className="tiles" data-testid="usage-sum">
        <div>
          <dt>{t("usage.requests")}</dt>
          <dd data-testid="usage-requests">{amount("requests", sum.requests)}</dd>
        </div>
        <div>
          <dt>{t("usage.tokens")}</dt>
          <dd>{amount("tokens", sum.inputTokens + sum.outputTokens)}</dd>
          <dd className="hint">
            {t("usage.readWritten", {
              read: amount("tokens", sum.inputTokens),
              written: amount("tokens", sum.outputTokens),
            })}
          </dd>
        </div>
        <div>
          <dt>{t("usage.money")}</dt>
          <dd>{money(sum)}</dd>
        </div>
      </dl>
      {sum.estimated > 0 && (
        <p className="hint">{t("usage.estimated", { count: sum.estimated })}</p>
      )}
      {sum.unpriced > 0 && (
        <p className="hint">{t("usage.unpricedHint", { count: sum.unpriced })}</p>
      )}
    </>
  );
}

/** The figures of a chart, to read, to copy and to hear. Days without usage are left out. */
export function Table({ bars }: { bars: Used[] }) {
  const { t, language, amount } = useI18n();
  const money = useMoney();
  const rows = bars.filter((bar) => bar.requests > 0).reverse();
  return (
    <details>
      <summary>{t("usage.table")}</summary>
      {/* Whoever has no pointer scrolls with the keys. */}
      <div className="scroll" role="region" aria-label={t("usage.table")} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("usage.when")}</th>
              <th scope="col">{t("usage.requests")}</th>
              <th scope="col">{t("usage.tokens")}</th>
              <th scope="col">{t("usage.money")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.key}>
                <th scope="row">{dayText(language, row.key)}</th>
                <td>{amount("requests", row.requests)}</td>
                <td>{amount("tokens", row.inputTokens + row.outputTokens)}</td>
                <td>{money(row)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
