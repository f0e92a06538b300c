import { useCallback, useId, useState } from "react";
import type { Page } from "../../api/types";
import { usage } from "../../api/usage";
import { KINDS, type By, type UsageTotal } from "../../api/usageTypes";
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
  type Used,
} from "../../lib/usage";
import { useFurther } from "../../lib/useFurther";
import { useLoad } from "../../lib/useLoad";
import { Chart } from "./Chart";
import { Table, Tiles } from "./Figures";
import { Loading } from "./Loading";
import { Ranking } from "./Ranking";

/** Sums of the same usage. */
export interface Sums {
  days: Days;
  /** Whether everybody's is shown. */
  all: boolean;
  overTime: UsageTotal[];
  /** The first page of them. */
  models: Page<UsageTotal>;
  /** The first page of them; empty unless everybody's is shown. */
  people: Page<UsageTotal>;
}

const NOBODY: Page<UsageTotal> = { items: [], next_cursor: null };

async function read(days: Days, all: boolean): Promise<Sums> {
  const span = { from: days.from, to: days.to, all };
  const [overTime, models, people] = await Promise.all([
    usage.everyTotal(days.by, span),
    usage.totals("model", span),
    all ? usage.totals("subject", span) : NOBODY,
  ]);
  return { days, all, overTime, models, people };
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
      <Loading of={loaded}>
        {(sums) => <Picture sums={sums} measure={measure} onError={onError} />}
      </Loading>
      <p className="hint">{t("usage.utc")}</p>
    </section>
  );
}

interface PictureProps {
  sums: Sums;
  measure: Measure;
  onError(error: unknown): void;
}

export function Picture({ sums, measure, onError }: PictureProps) {
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
          <Listed
            of={sums}
            by="model"
            first={sums.models}
            {...drawn}
            onError={onError}
            testId="usage-models"
            name={({ key, provider }) =>
              key === "" ? t("usage.unknownModel") : provider ? `${key} (${provider})` : key
            }
          />
          {sums.people.items.length > 0 && (
            <>
              <h4>{t("usage.byPerson")}</h4>
              <Listed
                of={sums}
                by="subject"
                first={sums.people}
                {...drawn}
                onError={onError}
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

interface ListedProps {
  of: Sums;
  by: By;
  first: Page<UsageTotal>;
  measure: Measure;
  currency: string;
  onError(error: unknown): void;
  testId: string;
  name(item: Used): string;
}

/** Models or people, of which there may be more than a page. */
function Listed({ of: { days, all }, by, first, onError, ...ranking }: ListedProps) {
  const { t, explain } = useI18n();
  const { from, to } = days;
  const read = useCallback(
    (cursor: string) => usage.totals(by, { from, to, all }, cursor),
    [by, from, to, all],
  );
  const { items, error, hasMore, more } = useFurther(first, read, onError);
  return (
    <>
      <Ranking items={together(items)} {...ranking} />
      {error !== null && (
        <p role="alert" className="bad">
          {explain(error)}
        </p>
      )}
      {hasMore && (
        <>
          <p className="hint">{t("usage.notAll")}</p>
          <button data-testid={ranking.testId + "-more"} onClick={() => void more()}>
            {t("more")}
          </button>
        </>
      )}
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
