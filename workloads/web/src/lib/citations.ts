/** The part of a Markdown tree that is needed here. */
interface Node {
  type: string;
  value?: string;
  url?: string;
  children?: Node[];
}

const MARK = /\[(\d{1,3})\]/g;
const PREFIX = "#citation-";

/** The number that a link made by {@link remarkCitations} stands for. */
export function citationOf(href: string | undefined): number | null {
  return href?.startsWith(PREFIX) ? Number(href.slice(PREFIX.length)) : null;
}

/**
 * A remark plugin that turns `[n]` in running text into a link to citation n, for the numbers
 * that exist. Code stays as it is: there `[1]` is an index.
 */
export function remarkCitations(numbers: ReadonlySet<number>) {
  return () => (tree: Node) => visit(tree, numbers);
}

function visit(node: Node, numbers: ReadonlySet<number>): void {
  if (!node.children || node.type === "link") return;
  node.children = node.children.flatMap((child) => {
    if (child.type === "text" && child.value) return split(child.value, numbers);
    visit(child, numbers);
    return [child];
  });
}

function split(text: string, numbers: ReadonlySet<number>): Node[] {
  const nodes: Node[] = [];
  let from = 0;
  for (const match of text.matchAll(MARK)) {
    const number = Number(match[1]);
    if (!numbers.has(number)) continue;
    if (match.index > from) nodes.push({ type: "text", value: text.slice(from, match.index) });
    nodes.push({
      type: "link",
      url: PREFIX + number,
      children: [{ type: "text", value: match[0] }],
    });
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push({ type: "text", value: text.slice(from) });
  return nodes;
}
