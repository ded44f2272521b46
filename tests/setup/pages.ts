import { readdirSync, readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface Block {
  readonly kind: "block";
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/**
 * A comment for the tests, which a reader does not see: `<!-- test: WORDS -->`, with a body in the lines below its words.
 * `tests/setup/scenario.ts` says which words there are.
 */
export interface Order {
  readonly kind: "order";
  readonly line: number;
  readonly words: readonly string[];
  /** Empty where the order is for the block below it. */
  readonly body: string;
}

const ITEM =
  /^```(?<language>\w*)\n(?<text>[\s\S]*?)^```$|^<!-- test: (?<words>.*?)(?:\n(?<body>[\s\S]*?))? ?-->$/gm;

/** Returns the pages whose blocks are checked: README and all of docs. */
export function documentedPages(): readonly string[] {
  const names = readdirSync("docs", { recursive: true, encoding: "utf8" });
  return ["README.md", ...names.filter((name) => name.endsWith(".md")).map(inDocs)].sort();
}

const inDocs = (name: string) => `docs/${name.replaceAll("\\", "/")}`;

/** Returns the blocks and orders of a page, from its top to its end. */
export function itemsOf(page: string): readonly (Block | Order)[] {
  const text = readFileSync(page, "utf8");
  return Array.from(text.matchAll(ITEM), ({ index, groups = {} }) => {
    const line = text.slice(0, index).split("\n").length;
    if (groups.words === undefined) {
      const [language = "", inside = ""] = [groups.language, groups.text];
      return { kind: "block", page, line, language, text: inside };
    }
    return { kind: "order", line, words: groups.words.split(" "), body: groups.body ?? "" };
  });
}

/** Returns the blocks of a page. */
export function blocksOf(page: string): readonly Block[] {
  return itemsOf(page).filter((item) => item.kind === "block");
}

/** Whether the commands of a page are run, one after the other, in a project of its own. */
export function isScenario(page: string): boolean {
  return itemsOf(page).some((item) => item.kind === "order" && item.words[0] === "project");
}

/** Returns the command lines of a block of shell: continued lines joined, comments left out. */
export function commandLines({ text }: Block): readonly string[] {
  return text
    .replaceAll("\\\n", " ")
    .split("\n")
    .flatMap((line) => line.replace(/(^|\s)#.*$/, "").split(/ && | \| |; /))
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** Cuts a command line into words, as a shell does with simple quotes. Where its output goes is none of them. */
export function wordsOf(line: string): readonly string[] {
  return Array.from(
    line.replace(/\s>+\s*\S+$/, "").matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g),
    ([word]) => word.replaceAll(/["']/g, ""),
  );
}
