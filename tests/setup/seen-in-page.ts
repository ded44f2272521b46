import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse } from "parse5";

type Node = DefaultTreeAdapterTypes.Node;

/** What a parser has seen in a page. */
export interface Seen {
  readonly tags: ReadonlyMap<string, number>;
  readonly attributes: ReadonlySet<string>;
  readonly text: string;
  readonly errors: readonly string[];
}

/** What a browser's parser makes of a page. */
export function seenIn(page: string): Seen {
  const tags = new Map<string, number>();
  const attributes = new Set<string>();
  const errors: string[] = [];
  let text = "";
  const visit = (node: Node): void => {
    if (defaultTreeAdapter.isTextNode(node)) text += node.value;
    if (defaultTreeAdapter.isElementNode(node)) {
      tags.set(node.tagName, (tags.get(node.tagName) ?? 0) + 1);
      for (const { name } of node.attrs) attributes.add(name);
    }
    if (defaultTreeAdapter.isCommentNode(node)) tags.set("#comment", 1);
    if ("childNodes" in node) node.childNodes.forEach(visit);
  };
  visit(parse(page, { onParseError: ({ code }) => errors.push(code) }));
  return { tags, attributes, text, errors };
}
