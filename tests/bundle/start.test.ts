import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { expectReport } from "../setup/report-schema.ts";

test("npm start plays a whole deployment, ends with 0, and prints reports on request", async () => {
  const program = spawn(process.execPath, ["--import", "tsx", "local/start.ts", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void program.kill());
  const [output, [exitCode]] = await Promise.all([text(program.stdout), once(program, "close")]);

  expect(exitCode).toBe(0);
  const answers: readonly { readonly caller: string; readonly answer: unknown }[] =
    JSON.parse(output);
  expect(answers.map(({ caller }) => caller)).toHaveLength(8);
  expect(expectReport(answers[1]?.answer).status).toBe("up-to-date");
  expect(expectReport(answers[6]?.answer).error?.code).toBe("MIGRATION_FAILED");
});
