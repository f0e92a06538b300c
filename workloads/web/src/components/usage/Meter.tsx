import type { Standing } from "../../lib/usage";

interface Props {
  /** What is measured, and what it comes to. */
  label: string;
  text: string;
  /** 0 to 100. */
  percent: number;
  /** Where it begins to warn, in percent. */
  warnAt: number;
  standing: Standing;
}

/** How full something is, as a bar. Widths are attributes: the page allows no inline styles. */
export function Meter({ label, text, percent, warnAt, standing }: Props) {
  return (
    <div
      role="meter"
      className={"meter is-" + standing}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(percent)}
      aria-valuetext={text}
    >
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect className="meter-fill" width={percent} height={8} />
        {warnAt < 100 && <rect className="meter-mark" x={warnAt} width={0.5} height={8} />}
      </svg>
    </div>
  );
}
