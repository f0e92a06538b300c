import { useId, useState } from "react";
import type { Me } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { useFocusInside } from "../../lib/useFocusInside";
import { LocalLink } from "../LocalLink";
import { EverybodysBudgets, OwnBudgets } from "./Budgets";
import { Rules } from "./Rules";
import { Spent } from "./Spent";
import "../account/account.css";
import "./usage.css";

interface Props {
  me: Me;
  /** Where the chat is. */
  back: string;
  onClose(): void;
  onError(error: unknown): void;
}

/** What a person used and what is left; for administrators also everybody's. */
export function Usage({ me, back, onClose, onError }: Props) {
  const { t } = useI18n();
  const heading = useFocusInside<HTMLHeadingElement>();
  const [isAll, setAll] = useState(false);
  const [version, setVersion] = useState(0);
  const reload = () => setVersion((version) => version + 1);
  return (
    <main className="account usage" data-testid="usage-page" aria-labelledby="usage-title">
      <div className="account-column">
        <LocalLink href={back} onGo={onClose} data-testid="usage-close">
          {t("account.back")}
        </LocalLink>
        <h2 id="usage-title" ref={heading} tabIndex={-1}>
          {t("usage.title")}
        </h2>
        <div className="controls">
          {me.admin && <Whose isAll={isAll} onChange={setAll} />}
          <button data-testid="usage-reload" onClick={reload}>
            {t("usage.reload")}
          </button>
        </div>
        {isAll ? (
          <EverybodysBudgets version={version} onError={onError} />
        ) : (
          <OwnBudgets version={version} onError={onError} />
        )}
        <Spent isAll={isAll} version={version} onError={onError} />
        {isAll && <Rules onError={onError} onChanged={reload} />}
      </div>
    </main>
  );
}

function Whose({ isAll, onChange }: { isAll: boolean; onChange(isAll: boolean): void }) {
  const { t } = useI18n();
  const name = useId();
  return (
    <fieldset className="switch" data-testid="usage-whose">
      <legend className="visually-hidden">{t("usage.whose")}</legend>
      {[false, true].map((all) => (
        <label key={String(all)}>
          <input
            type="radio"
            name={name}
            value={all ? "all" : "own"}
            checked={isAll === all}
            onChange={() => onChange(all)}
          />
          <span>{t(all ? "usage.everybody" : "usage.mine")}</span>
        </label>
      ))}
    </fieldset>
  );
}
