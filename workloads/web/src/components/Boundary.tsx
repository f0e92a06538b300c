import { Component, type ReactNode } from "react";
import { useI18n } from "../i18n/context";

interface Props {
  children: ReactNode;
}

interface State {
  isBroken: boolean;
}

/**
 * Says that a part of the page cannot be shown, where it throws while it is rendered; the others stay.
 * React hears of it in classes only, and writes what was thrown to the browser's console.
 */
export class Boundary extends Component<Props, State> {
  override state: State = { isBroken: false };

  static getDerivedStateFromError(): State {
    return { isBroken: true };
  }

  override render(): ReactNode {
    return this.state.isBroken ? <Broken /> : this.props.children;
  }
}

function Broken() {
  const { t } = useI18n();
  return (
    <div role="alert" className="broken" data-testid="broken">
      <p>{t("broken.text")}</p>
      <button onClick={() => location.reload()}>{t("broken.reload")}</button>
    </div>
  );
}
