import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { eventAgeOf, RETRY_ATTEMPTS, serviceTimeoutOf } from "../../lib/events/redelivery.ts";

/** The numbers of a file, by their keys. */
function numbersIn(file: string): ReadonlyMap<string, number> {
  const text = readFileSync(`infra/examples/${file}`, "utf8");
  const found = text.matchAll(/^\s*(\w+):? *=? *(\d+)\b/gm);
  const plain = (key: string) => key.replaceAll("_", "").toLowerCase();
  return new Map(Array.from(found, ([, key = "", value]) => [plain(key), Number(value)]));
}

describe("GIVEN an example that deploys the function", () => {
  test.each([
    ["cloudformation/template.yaml", true],
    ["sam/template.yaml", true],
    ["serverless/serverless.yml", true],
    ["terraform/main.tf", false],
    ["sst/sst.config.ts", false],
  ])("WHEN %s is deployed THEN it is as the construct says", (file, waits) => {
    const numbers = numbersIn(file);
    const timeout = numbers.get("timeout") ?? 0;
    const age = numbers.get("maximumeventageinseconds") ?? numbers.get("maximumeventage");

    expect(timeout).toBe(900);
    expect(numbers.get("maximumretryattempts")).toBe(RETRY_ATTEMPTS);
    expect(age).toBe(eventAgeOf(timeout));
    expect(numbers.get("servicetimeout")).toBe(waits ? serviceTimeoutOf(timeout) : undefined);
  });
});

describe("GIVEN the workflow that rehearses pull requests", () => {
  const workflow = parse(readFileSync("infra/examples/github-actions/rehearse.yml", "utf8"));
  const { env, steps } = workflow.jobs.rehearse;

  test("WHEN a pull request touches the migrations THEN it runs, with options that the command has", () => {
    const commands = steps.flatMap(({ run = "" }) => run).join("\n");
    const [, options = ""] = /npx neon-migrate rehearse (.*)/.exec(commands) ?? [];
    const page = readFileSync("docs/reference/cli.md", "utf8");

    expect(workflow.on.pull_request.paths).toEqual(["drizzle/**"]);
    expect(options).toContain("--limit-blocked-ms 2000");
    for (const [option] of options.matchAll(/--[a-z-]+/g)) expect(page).toContain(`\`${option} <`);
  });

  test("WHEN it runs THEN its variables are settings that a rehearsal reads", () => {
    const page = readFileSync("docs/reference/configuration.md", "utf8");

    expect(Object.keys(env)).toEqual(["DATABASE_URL", "NEON_API_KEY", "NEON_PROJECT_ID"]);
    for (const name of Object.keys(env)) expect(page).toContain(`| \`${name}\``);
  });
});
