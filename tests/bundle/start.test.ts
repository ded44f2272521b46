import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { expectReport } from "../setup/report-schema.ts";

test("npm start plays a whole deployment, ends with 0, and prints reports on request", () => {
  const output = execFileSync(process.execPath, ["--import", "tsx", "local/start.ts", "--json"], {
    encoding: "utf8",
    timeout: 60_000,
  });

  const answers: readonly { readonly caller: string; readonly answer: unknown }[] =
    JSON.parse(output);
  expect(answers.map(({ caller }) => caller)).toHaveLength(8);
  expect(expectReport(answers[1]?.answer).status).toBe("up-to-date");
  expect(expectReport(answers[6]?.answer).error?.code).toBe("MIGRATION_FAILED");
});
