import type { ReactNode } from "react";
import { useI18n } from "../../i18n/context";
import type { Pages } from "../../lib/usePages";

interface Props<T> {
  pages: Pages<T>;
  /** What is said of a list without anything in it. */
  none: string;
  children(item: T): ReactNode;
}

/** A list in whatever state it is. */
export function Listing<T>({ pages, none, children }: Props<T>) {
  const { t, explain } = useI18n();
  const { items, error } = pages;
  return (
    <>
      {error !== null && (
        <p role="alert" className="bad">
          {explain(error)}
        </p>
      )}
      {items === null &&
        (error === null ? (
          <p role="status">{t("loading")}</p>
        ) : (
          <button onClick={pages.reload}>{t("retry")}</button>
        ))}
      {items?.length === 0 && <p>{none}</p>}
      {items !== null && items.length > 0 && <ul className="rows">{items.map(children)}</ul>}
      {pages.hasMore && <button onClick={() => void pages.more()}>{t("more")}</button>}
    </>
  );
}
