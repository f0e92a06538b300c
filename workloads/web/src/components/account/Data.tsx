import { useState } from "react";
import { account } from "../../api/account";
import type { Erased } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { save } from "../../lib/save";
import { Erase } from "./Erase";

interface Props {
  onError(error: unknown): void;
  onErased(erased: Erased): void;
}

export function Data({ onError, onErased }: Props) {
  const { t } = useI18n();
  return (
    <section aria-labelledby="account-data" data-testid="data">
      <h3 id="account-data">{t("data.title")}</h3>
      <Export onError={onError} />
      <Erase onError={onError} onErased={onErased} />
    </section>
  );
}

function Export({ onError }: { onError(error: unknown): void }) {
  const { t, explain } = useI18n();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const fetchAll = async () => {
    setBusy(true);
    setError(null);
    try {
      save(await account.exportAll(), "lotoai-export.json");
    } catch (cause) {
      setError(cause);
      onError(cause);
    }
    setBusy(false);
  };
  return (
    <>
      <p className="hint">{t("export.hint")}</p>
      <button data-testid="export" disabled={isBusy} onClick={() => void fetchAll()}>
        {t("export.button")}
      </button>
      <p role="status">{isBusy && t("export.busy")}</p>
      {error !== null && (
        <p role="alert" className="bad">
          {explain(error)}
        </p>
      )}
    </>
  );
}
