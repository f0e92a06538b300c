import { useI18n } from "../../i18n/context";
import { dayText, moneyText, shortNumber } from "../../lib/amounts";
import { measured, type Measure, type Used } from "../../lib/usage";

interface Props {
  /** The oldest first. */
  bars: Used[];
  measure: Measure;
  /** Of the money that is drawn. */
  currency: string;
}

/** A figure as it stands beside a bar. */
export function useFigure({ measure, currency }: Omit<Props, "bars">) {
  const { language, amount } = useI18n();
  const value = (used: Used) => measured(used, measure, currency);
  return {
    value,
    text: (used: Used) =>
      measure === "money"
        ? moneyText(language, value(used), currency)
        : amount(measure, value(used)),
    short: (figure: number) =>
      measure === "money"
        ? moneyText(language, figure, currency)
        : shortNumber(language, figure),
  };
}

/** Usage over time. One picture for the ear: the figures stand in the table below it. */
export function Chart(props: Props) {
  const { t, language } = useI18n();
  const figure = useFigure(props);
  const { bars } = props;
  const [first, last] = [bars[0], bars.at(-1)];
  if (!first || !last) return null;
  const highest = bars.reduce((most, bar) => (figure.value(bar) > figure.value(most) ? bar : most));
  const top = figure.value(highest);
  const day = (bar: Used) => dayText(language, bar.key);
  const summary = t("usage.chart", {
    what: t(`kind.${props.measure}`),
    from: day(first),
    to: day(last),
    most: figure.text(highest),
    when: day(highest),
  });
  return (
    <figure className="chart" data-testid="usage-chart">
      <p className="chart-top" aria-hidden="true">
        {figure.short(top)}
      </p>
      <svg
        role="img"
        aria-label={summary}
        viewBox={`0 0 ${bars.length} 100`}
        preserveAspectRatio="none"
      >
        {bars.map((bar, index) => {
          const height = heightOf(figure.value(bar), top);
          return (
            <rect key={bar.key} x={index + 0.1} y={100 - height} width={0.8} height={height}>
              <title>{day(bar) + ": " + figure.text(bar)}</title>
            </rect>
          );
        })}
      </svg>
      <p className="chart-days" aria-hidden="true">
        <span>{day(first)}</span>
        {first !== last && <span>{day(last)}</span>}
      </p>
    </figure>
  );
}

/** In percent of the highest. What is little is still seen. */
export function heightOf(value: number, top: number): number {
  return value > 0 && top > 0 ? Math.max(1.5, (value / top) * 100) : 0;
}
