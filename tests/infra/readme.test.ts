import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";

test("GIVEN the README's example WHEN it is run as it stands THEN it synthesises", () => {
  const [, example = ""] = /```ts\n(.*?)```/s.exec(readFileSync("README.md", "utf8")) ?? [];
  const file = `infra/readme-example-${process.pid}.ts`;
  writeFileSync(file, example.replace("neon-lambda-migrator/infra", "./neon-migrations.ts"));

  try {
    const output = execFileSync(process.execPath, ["--import", "tsx", file], { encoding: "utf8" });
    expect(output).toBe("");
  } finally {
    rmSync(file);
  }
});
