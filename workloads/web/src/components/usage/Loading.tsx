import type { ReactNode } from "react";
import { useI18n } from "../../i18n/context";
import type { Loaded } from "../../lib/useLoad";

interface Props<T> {
  of: Loaded<T>;
  children(value: T): ReactNode;
}

/** What is read, in whatever state it is. What was read before stays while it is read again. */
export function Loading<T>({ of: loaded, children }: Props<T>) {
  const { t, explain } = useI18n();
  const { value, error, isReading, reload } = loaded;
  return (
    <div aria-busy={isReading}>
      {error !== null && (
        <div role="alert" className="bad">
          <p>{explain(error)}</p>
          <button onClick={reload}>{t("retry")}</button>
        </div>
      )}
      {value === null && error === null && <p role="status">{t("loading")}</p>}
      {value !== null && children(value)}
    </div>
  );
}
