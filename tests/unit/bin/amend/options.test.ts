import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCli } from "../../../../bin/cli.ts";

let errors: string;

beforeEach(() => {
  errors = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe("baseline and repair", () => {
  test.each([
    ["no migration", ["baseline"], "--to <tag>"],
    ["no repair", ["repair"], "exactly one of"],
    ["two repairs", ["repair", "--accept", "0000_a", "--merge-ledgers"], "exactly one of"],
    ["three", ["repair", "--accept", "a", "--resolve", "a", "--merge-ledgers"], "exactly one of"],
    ["a doubt without an answer", ["repair", "--resolve", "0000_a"], "--as done or --as undone"],
    ["another answer", ["repair", "--resolve", "0000_a", "--as", "maybe"], "done, undone"],
    ["an answer without a doubt", ["repair", "--merge-ledgers", "--as", "done"], "--resolve"],
    ["a fraction", ["repair", "--merge-ledgers", "--lock-timeout-ms", "1.5"], "whole number"],
    ["something that is left over", ["baseline", "--to", "0000_a", "please"], "too many arguments"],
  ])("is wrong usage with %s", async (_what, words, said) => {
    expect(await runCli(words)).toBe(2);
    expect(errors).toMatch(/^error: /);
    expect(errors).toContain(said);
  });
});
