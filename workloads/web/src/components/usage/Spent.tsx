import { useCallback, useId, useState } from "react";
import { usage } from "../../api/usage";
import { KINDS, type UsageTotal } from "../../api/usageTypes";
import { useI18n } from "../../i18n/context";
import {
  daysOf,
  mainCurrency,
  RANGES,
  series,
  sumOf,
  together,
  type Days,
  type Measure,
  type Range,
} from "../../lib/usage";
import { useLoad } from "../../lib/useLoad";
import { Chart } from "./Chart";
import { Table, Tiles } from "./Figures";
import { Loading } from "./Loading";
import { Ranking } from "./Ranking";

/** Sums of the same usage. */
export interface Sums {
  days: Days;
  overTime: UsageTotal[];
  models: UsageTotal[];
  /** Empty unless everybody's is shown. */
  people: UsageTotal[];
}

async function read(days: Days, all: boolean): Promise<Sums> {
  const span = { from: days.from, to: days.to, all };
  const [overTime, models, people] = await Promise.all([
    usage.totals(days.by, span),
    usage.totals("model", span),
    all ? usage.totals("subject", span) : { items: [] },
  ]);
  return { days, overTime: overTime.items, models: models.items, people: people.items };
}

interface Props {
  isAll: boolean;
  /** Changes when it must be read again. */
  version: number;
  onError(error: unknown): void;
}

/** What was used: over time, by model, and by person where it is everybody's. */
export function Spent({ isAll, version, onError }: Props) {
  const { t } = useI18n();
  const [range, setRange] = useState<Range>("month");
  const [measure, setMeasure] = useState<Measure>("tokens");
  // A page that stays open over midnight goes on with the new day. By their values, so that the same
  // days are the same question, whose answer stays while it is read again.
  const { from, to, by } = daysOf(range, new Date());
  const readDays = useCallback(() => read({ from, to, by }, isAll), [from, to, by, isAll]);
  const loaded = useLoad(readDays, onError, version);
  return (
    <section aria-labelledby="usage-spent" data-testid="spent">
      <h3 id="usage-spent">{t(isAll ? "usage.spentAll" : "usage.spent")}</h3>
      <div className="controls">
        <RangeSelect value={range} onChange={setRange} />
        <MeasureChoice value={measure} onChange={setMeasure} />
      </div>
      <Loading of={loaded}>{(sums) => <Picture sums={sums} measure={measure} />}</Loading>
      <p className="hint">{t("usage.utc")}</p>
    </section>
  );
}

export function Picture({ sums, measure }: { sums: Sums; measure: Measure }) {
  const { t } = useI18n();
  const sum = sumOf(sums.overTime);
  if (sum.requests === 0) return <p data-testid="usage-none">{t("usage.none")}</p>;
  const bars = series(sums.overTime, sums.days);
  const currency = mainCurrency(sum);
  const drawn = { measure, currency };
  return (
    <>
      <Tiles sum={sum} />
      {measure === "money" && currency === "" ? (
        <p>{t("usage.noMoney")}</p>
      ) : (
        <>
          <Chart bars={bars} {...drawn} />
          {measure === "money" && sum.money.size > 1 && (
            <p className="hint">{t("usage.oneCurrency", { currency })}</p>
          )}
          <h4>{t("usage.byModel")}</h4>
          <Ranking
            items={together(sums.models)}
            {...drawn}
            testId="usage-models"
            name={({ key, provider }) =>
              key === "" ? t("usage.unknownModel") : provider ? `${key} (${provider})` : key
            }
          />
          {sums.people.length > 0 && (
            <>
              <h4>{t("usage.byPerson")}</h4>
              <Ranking
                items={together(sums.people)}
                {...drawn}
                testId="usage-people"
                name={({ key }) => key}
              />
            </>
          )}
        </>
      )}
      <Table bars={bars} />
    </>
  );
}

function RangeSelect(props: { value: Range; onChange(value: Range): void }) {
  const { t } = useI18n();
  const id = useId();
  return (
    <span>
      <label htmlFor={id}>{t("usage.range")}</label>{" "}
      <select
        id={id}
        data-testid="usage-range"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value as Range)}
      >
        {RANGES.map((range) => (
          <option key={range} value={range}>
            {t(`range.${range}`)}
          </option>
        ))}
      </select>
    </span>
  );
}

function MeasureChoice(props: { value: Measure; onChange(value: Measure): void }) {
  const { t } = useI18n();
  const name = useId();
  return (
    <fieldset className="switch">
      <legend className="visually-hidden">{t("usage.measure")}</legend>
      {KINDS.map((kind) => (
        <label key={kind}>
          <input
            type="radio"
            name={name}
            value={kind}
            checked={props.value === kind}
            onChange={() => props.onChange(kind)}
          />
          <span>{t(`kind.${kind}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}
