import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Operation } from "../../local/cloudformation/cloudformation.ts";

/** Reads the operator's table of CloudFormation's lifecycle: the stack's status at the end, by the row's event. */
export function lifecycleRows(): ReadonlyMap<string, string> {
  const page = readFileSync("docs/reference/lifecycle.md", "utf8");
  const [table = ""] = page.split(/^## /m);
  const rows = Array.from(table.matchAll(/^\| (?!What happens|-)(.*) \|$/gm), ([, row = ""]) =>
    row.split(" | ").map((cell) => cell.trim()),
  );
  return new Map(rows.map(([what = "", , , end = ""]) => [what, end]));
}

/** The attributes that `Fn::GetAtt` may read from every answer, whatever the request and its outcome. */
const ATTRIBUTES = [
  ...["ahead", "appliedCount", "executor", "latest"],
  ...["pendingCount", "requestId", "status"],
];

/**
 * Fails the test unless the operation ended with the status in the row of the test's name, with exactly these problems,
 * and each answer has all attributes. A failure that a framework answers has no attributes: do not use it there.
 */
export function expectEnd(operation: Operation, problems: readonly string[] = []): void {
  const title = expect.getState().currentTestName?.split(" > ").at(-1) ?? "";
  const seen = { title, end: `\`${operation.status}\``, problems: operation.problems };
  expect(seen).toEqual({ title, end: lifecycleRows().get(title), problems });
  for (const { answer, data } of operation.exchanges) {
    if (answer !== null) expect(Object.keys(data).toSorted()).toEqual(ATTRIBUTES);
  }
}
