/**
 * As much of a browser's document as React needs to mount components and hear of what is done to
 * them. Nothing is laid out, and there is no markup to parse.
 */

type Heard = (event: Event) => void;

class Target {
  readonly #heard: { type: string; listener: Heard; capture: boolean }[] = [];

  addEventListener(type: string, listener: Heard, options?: boolean | { capture?: boolean }): void {
    const capture = typeof options === "object" ? Boolean(options.capture) : Boolean(options);
    this.#heard.push({ type, listener, capture });
  }

  removeEventListener(type: string, listener: Heard): void {
    const at = this.#heard.findIndex((it) => it.type === type && it.listener === listener);
    if (at >= 0) this.#heard.splice(at, 1);
  }

  /** Tells of an event: first who captures it, then the others. */
  tell(event: Event): void {
    for (const capture of [true, false]) {
      for (const it of [...this.#heard]) {
        if (it.type === event.type && it.capture === capture) it.listener(event);
      }
    }
  }
}

export class FakeNode extends Target {
  parentNode: FakeElement | null = null;
  nodeValue: string | null = null;
  readonly childNodes: FakeNode[] = [];

  constructor(
    readonly nodeType: number,
    readonly nodeName: string,
    readonly ownerDocument: FakeDocument,
  ) {
    super();
  }

  get firstChild(): FakeNode | null {
    return this.childNodes[0] ?? null;
  }

  get lastChild(): FakeNode | null {
    return this.childNodes.at(-1) ?? null;
  }

  get nextSibling(): FakeNode | null {
    const all = this.parentNode?.childNodes ?? [];
    return all[all.indexOf(this) + 1] ?? null;
  }

  get textContent(): string {
    return this.nodeValue ?? this.childNodes.map((node) => node.textContent).join("");
  }

  set textContent(text: string) {
    for (const node of [...this.childNodes]) this.removeChild(node);
    if (text !== "") this.appendChild(this.ownerDocument.createTextNode(text));
  }

  contains(node: FakeNode | null): boolean {
    return node !== null && (node === this || this.contains(node.parentNode));
  }

  appendChild(node: FakeNode): FakeNode {
    return this.insertBefore(node, null);
  }

  insertBefore(node: FakeNode, before: FakeNode | null): FakeNode {
    node.parentNode?.removeChild(node);
    const at = before === null ? this.childNodes.length : this.childNodes.indexOf(before);
    this.childNodes.splice(at, 0, node);
    node.parentNode = this as unknown as FakeElement;
    return node;
  }

  removeChild(node: FakeNode): FakeNode {
    this.childNodes.splice(this.childNodes.indexOf(node), 1);
    node.parentNode = null;
    // What is taken away leaves the focus nowhere.
    const { ownerDocument } = this;
    if (node.contains(ownerDocument.activeElement)) ownerDocument.activeElement = ownerDocument.body;
    return node;
  }
}

export class FakeElement extends FakeNode {
  readonly namespaceURI = "http://www.w3.org/1999/xhtml";
  readonly attributes = new Map<string, string>();
  readonly style: Record<string, string> = {};
  disabled = false;
  hidden = false;
  selected = false;
  #value = "";

  constructor(name: string, document: FakeDocument) {
    super(1, name.toUpperCase(), document);
  }

  get tagName(): string {
    return this.nodeName;
  }

  // React watches these two to find out what was written.
  get value(): string {
    return this.attributes.get("value") ?? this.#value;
  }

  set value(text: string) {
    this.attributes.delete("value");
    this.#value = text;
  }

  /** What a field begins with: of one with many lines, what stands in it. */
  get defaultValue(): string {
    return this.textContent;
  }

  set defaultValue(text: string) {
    if (this.nodeName === "TEXTAREA") this.textContent = text;
  }

  /** Those of a list to choose from. */
  get options(): FakeElement[] {
    return this.all((element) => element.nodeName === "OPTION");
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, String(value));
    if (name === "disabled") this.disabled = true;
  }

  removeAttribute(name: string): void {
    this.attributes.delete(name);
    if (name === "disabled") this.disabled = false;
  }

  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }

  matches(selector: string): boolean {
    return selector === ":focus-visible" && this.ownerDocument.activeElement === this;
  }

  focus(): void {
    this.ownerDocument.activeElement = this;
  }

  scrollIntoView(): void {
    // Nothing is laid out.
  }

  /** The elements in this one, in their order, that are so. */
  all(is: (element: FakeElement) => boolean): FakeElement[] {
    return this.childNodes.flatMap((node) =>
      node instanceof FakeElement ? [...(is(node) ? [node] : []), ...node.all(is)] : [],
    );
  }
}

export class FakeDocument extends FakeNode {
  readonly documentElement: FakeElement;
  readonly body: FakeElement;
  activeElement: FakeElement;
  defaultView: FakeWindow | null = null;
  visibilityState = "visible";
  /** By this React knows that fields tell of what is written. */
  readonly oninput = null;

  constructor() {
    super(9, "#document", null as never);
    this.documentElement = new FakeElement("html", this);
    this.body = new FakeElement("body", this);
    this.activeElement = this.body;
    this.documentElement.parentNode = this as unknown as FakeElement;
    this.documentElement.appendChild(this.body);
  }

  createElement(name: string): FakeElement {
    return new FakeElement(name, this);
  }

  createElementNS(_space: string, name: string): FakeElement {
    return new FakeElement(name, this);
  }

  createTextNode(text: string): FakeNode {
    const node = new FakeNode(3, "#text", this);
    node.nodeValue = text;
    return node;
  }
}

/** The window around a document, as far as the client uses it. */
export class FakeWindow extends Target {
  readonly document = new FakeDocument();
  readonly HTMLIFrameElement = class {};
  readonly location = { pathname: "/", search: "", assign: (): void => undefined };
  readonly history = {
    pushState: (_state: unknown, _title: string, path: string) => this.#go(path),
    replaceState: (_state: unknown, _title: string, path: string) => this.#go(path),
  };

  constructor() {
    super();
    this.document.defaultView = this;
  }

  #go(path: string): void {
    this.location.pathname = path;
  }
}
