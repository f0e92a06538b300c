import { act, createElement, type ReactNode } from "react";
import { vi } from "vitest";
import { I18nProvider } from "../i18n/context";
import { FakeElement, FakeWindow } from "./dom";

/** A page on which components are mounted, and what a person does on it. */
export class FakePage {
  readonly window = new FakeWindow();
  readonly #container: FakeElement;
  #unmount: () => Promise<void> = () => Promise.resolve();

  /** Stands for the browser's page until `vi.unstubAllGlobals`. */
  constructor(path = "/", language = "en") {
    const { window } = this;
    window.location.pathname = path;
    this.#container = window.document.createElement("div");
    window.document.body.appendChild(this.#container);
    vi.stubGlobal("window", window);
    vi.stubGlobal("document", window.document);
    vi.stubGlobal("location", window.location);
    vi.stubGlobal("history", window.history);
    vi.stubGlobal("navigator", { languages: [language], userAgent: "" });
    vi.stubGlobal("localStorage", { getItem: () => language, setItem: () => undefined });
    vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  }

  async mount(what: ReactNode): Promise<void> {
    // It looks for the document when it is loaded.
    const { createRoot } = await import("react-dom/client");
    const root = createRoot(this.#container as unknown as HTMLElement);
    this.#unmount = () => act(async () => root.unmount());
    await act(async () => root.render(createElement(I18nProvider, null, what)));
  }

  unmount(): Promise<void> {
    return this.#unmount();
  }

  /** Does something, and waits for what follows from it at once. */
  after(deed: () => void): Promise<void> {
    return act(async () => deed());
  }

  /** What is said on the page. */
  get text(): string {
    return this.#container.textContent;
  }

  find(testId: string): FakeElement | null {
    return this.#container.all((it) => it.getAttribute("data-testid") === testId)[0] ?? null;
  }

  get(testId: string): FakeElement {
    const found = this.find(testId);
    if (!found) throw new Error(`there is no ${testId} on the page: ${this.text}`);
    return found;
  }

  /** Clicks; `detail` counts the clicks that came right after one another. */
  async click(testId: string, detail = 1): Promise<void> {
    const element = this.get(testId);
    if (element.disabled) return;
    const form = formOf(element);
    const isSubmit = form !== null && element.getAttribute("type") === "submit";
    await this.after(() => {
      const click = this.#event("click", element, { detail, button: 0 });
      if (isSubmit && !click.defaultPrevented) this.#event("submit", form, {});
    });
  }

  /** Replaces what stands in a field. */
  write(testId: string, text: string): Promise<void> {
    const element = this.get(testId);
    return this.after(() => {
      // Past what React has put on the element to notice its own writing.
      Object.getOwnPropertyDescriptor(FakeElement.prototype, "value")?.set?.call(element, text);
      this.#event("input", element, {});
    });
  }

  press(testId: string, key: string): Promise<void> {
    const element = this.get(testId);
    return this.after(() => void this.#event("keydown", element, { key, isComposing: false }));
  }

  /** Comes back to the tab. */
  lookAgain(): Promise<void> {
    const { document } = this.window;
    return this.after(() => document.tell(new Event("visibilitychange")));
  }

  /** Everything is heard at the container: React listens there alone. */
  #event(type: string, target: FakeElement, more: object): Event {
    const event = new Event(type, { bubbles: true, cancelable: true });
    Object.defineProperty(event, "target", { value: target });
    this.#container.tell(Object.assign(event, more));
    return event;
  }
}

function formOf(element: FakeElement): FakeElement | null {
  const parent = element.parentNode;
  return parent === null || parent.nodeName === "FORM" ? parent : formOf(parent);
}
