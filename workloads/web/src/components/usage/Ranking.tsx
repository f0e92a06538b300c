import type { Measure, Used } from "../../lib/usage";
import { heightOf, useFigure } from "./Chart";

interface Props {
  items: Used[];
  measure: Measure;
  currency: string;
  /** What an item is called. */
  name(item: Used): string;
  testId: string;
}

/** Models or people with what they used, the most first. The bar says what the figure says. */
export function Ranking({ items, measure, currency, name, testId }: Props) {
  const figure = useFigure({ measure, currency });
  const sorted = [...items].sort((a, b) => figure.value(b) - figure.value(a));
  const top = sorted[0] ? figure.value(sorted[0]) : 0;
  return (
    <ul className="ranking" data-testid={testId}>
      {sorted.map((item) => (
        <li key={(item.provider ?? "") + " " + item.key}>
          <span className="ranking-name">{name(item)}</span>
          <span className="ranking-figure">{figure.text(item)}</span>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <rect className="meter-fill" width={heightOf(figure.value(item), top)} height={8} />
          </svg>
        </li>
      ))}
    </ul>
  );
}
