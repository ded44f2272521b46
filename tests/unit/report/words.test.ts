import { expect, test } from "vitest";
import { type ErrorCode, MigratorError } from "../../../lib/errors.ts";
import { failedReport } from "../../../lib/report/report.ts";

const server = Object.assign(new Error("the tool forbids it"), {
  ...{ code: "42501", severity: "ERROR", file: "pl_exec.c" },
  ...{ detail: "a detail", hint: "a hint", where: "PL/pgSQL function no() line 3" },
});
const WORDS = { sqlstate: "42501", detail: "a detail", hint: "a hint", where: server.where };

test.for<[string, unknown]>([
  ["an error that nobody foresaw", server],
  ["an error inside another one", new Error("wrapped", { cause: server })],
  ...(["LEDGER_DENIED", "LOCK_LOST", "DEADLINE", "READ_ONLY", "CONNECTION_LOST"] as const).map(
    (code: ErrorCode): [string, unknown] => [
      code,
      new MigratorError(code, "Another sentence.", { cause: server }),
    ],
  ),
])("the report keeps PostgreSQL's words, whatever was made of them: %s", ([_what, thrown]) => {
  const { error } = failedReport("test", thrown);

  expect(error).toMatchObject(WORDS);
  expect(error?.message).toContain("the tool forbids it");
});

test("the message for those who may see no data stays as it was", () => {
  const thrown = new MigratorError("LOCK_LOST", "Another sentence.", { cause: server });

  expect(failedReport("test", thrown).error?.publicMessage).toBe("Another sentence.");
});

test("words that are there already are not repeated", () => {
  const thrown = new MigratorError("MIGRATION_FAILED", "No: the tool forbids it (42501).", {
    cause: server,
  });

  expect(failedReport("test", thrown).error?.message).toBe(thrown.message);
});
