import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Report } from "../../lib/report/report.ts";
import { expectReport } from "../setup/report-schema.ts";

/** What `npm start` prints of one step. */
interface Step {
  readonly caller: string;
  readonly answer: unknown;
}

/** Plays the deployment as somebody does who types `npm start -- --json`. */
async function start(): Promise<{ readonly exitCode: unknown; readonly steps: readonly Step[] }> {
  const scratch = mkdtempSync(join(tmpdir(), "start-"));
  // PostgreSQL runs as another user where we are root.
  chmodSync(scratch, 0o711);
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  const program = spawn(process.execPath, ["--import", "tsx", "local/start.ts", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: scratch },
  });
  onTestFinished(() => void program.kill());
  const [output, [exitCode]] = await Promise.all([text(program.stdout), once(program, "close")]);
  return { exitCode, steps: JSON.parse(output) };
}

const operation = (status: string, data: object) => ({
  status,
  problems: [],
  exchanges: [{ status: "SUCCESS", problems: [], data }],
});
const tagsOf = ({ applied }: Pick<Report, "applied">) => applied.map(({ tag }) => tag);

test("npm start plays a whole deployment, ends with 0, and prints reports on request", async () => {
  const example = (await compileBundle("drizzle")).migrations.map(({ tag }) => tag);
  const [latest] = example.slice(-1);

  const { exitCode, steps } = await start();

  expect(exitCode).toBe(0);
  const answers = new Map(steps.map(({ caller, answer }) => [caller, answer]));
  const report = (caller: string) => expectReport(answers.get(caller));
  expect(answers.get("CloudFormation creates the stack")).toMatchObject(
    operation("CREATE_COMPLETE", {
      ...{ status: "applied", executor: "drizzle", latest },
      ...{ appliedCount: String(example.length), pendingCount: "0" },
    }),
  );
  expect(report("The pipeline invokes the function")).toMatchObject({
    ...{ status: "up-to-date", applied: [], pending: [], latest },
  });
  expect(answers.get("A new migration arrives, Update")).toMatchObject(
    operation("UPDATE_COMPLETE", {
      status: "applied",
      appliedCount: "1",
      latest: "0011_add_notes",
    }),
  );
  expect(report("HTTP GET /migrations/plan")).toMatchObject({ status: "up-to-date", pending: [] });
  expect(tagsOf(report("HTTP GET /migrations"))).toEqual([...example, "0011_add_notes"]);
  const guarded = report("A role that may not create schemas");
  expect(guarded).toMatchObject({ status: "applied", ledger: { schema: "public" } });
  expect(tagsOf(guarded)).toEqual(example);
  expect(report("A broken migration")).toMatchObject({
    ...{ status: "failed", atomic: true, applied: [], latest: "0011_add_notes" },
    pending: [{ tag: "0012_broken", done: 0 }],
    error: { code: "MIGRATION_FAILED", migration: "0012_broken", statement: { index: 2 } },
  });
  expect(answers.get("CloudFormation deletes the stack")).toMatchObject(
    operation("DELETE_COMPLETE", { status: "skipped", appliedCount: "0" }),
  );
  expect(answers.size).toBe(8);
});
