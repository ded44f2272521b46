import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Operation } from "../../local/cloudformation/cloudformation.ts";

/** What an operator is told of each thing that may happen to a stack: where it leaves the stack, by what happened. */
export function lifecycleRows(): ReadonlyMap<string, string> {
  const page = readFileSync("docs/operations.md", "utf8");
  const [, section = ""] = page.split("## CloudFormation's lifecycle\n");
  const [table = ""] = section.split(/^## /m);
  const rows = Array.from(table.matchAll(/^\| (?!What happens|-)(.*) \|$/gm), ([, row = ""]) =>
    row.split(" | ").map((cell) => cell.trim()),
  );
  return new Map(rows.map(([what = "", , , end = ""]) => [what, end]));
}

/** What `Fn::GetAtt` may read of every answer, whatever was asked and whatever came of it. */
const ATTRIBUTES = [
  ...["ahead", "appliedCount", "executor", "latest"],
  ...["pendingCount", "requestId", "status"],
];

/**
 * Fails the test unless an operation left the stack where the row of its name says, with these problems
 * seen, and each answer has all attributes. Where a framework answers, it has none of a failure.
 */
export function expectEnd(operation: Operation, problems: readonly string[] = []): void {
  const title = expect.getState().currentTestName?.split(" > ").at(-1) ?? "";
  const seen = { title, end: `\`${operation.status}\``, problems: operation.problems };
  expect(seen).toEqual({ title, end: lifecycleRows().get(title), problems });
  for (const { answer, data } of operation.exchanges) {
    if (answer !== null) expect(Object.keys(data).toSorted()).toEqual(ATTRIBUTES);
  }
}
