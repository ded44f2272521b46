import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Finding } from "../../../../lib/bundle/finding.ts";
import { isFinding } from "../../../../lib/bundle/read-finding.ts";
import { RULE_IDS, type RuleId } from "../../../../lib/bundle/rule-ids.ts";
import { RULES } from "../../../../lib/compile/check/rules.ts";
import { loadParser, parseRanges } from "../../../../lib/compile/sql/parser.ts";
import { checkAll } from "../../../setup/check-all.ts";
import { makeMigration } from "../../../setup/make-migration.ts";

const FIXTURES = "tests/fixtures/rules";
const docs = existsSync("docs/reference/rules.md")
  ? readFileSync("docs/reference/rules.md", "utf8")
  : "";

await loadParser();

/** The findings of the last of the migrations in a text, which one line parts from the next. */
function findingsIn(sql: string): readonly Finding[] {
  const migrations = sql
    .split("-- the next migration\n")
    .map((text, index) => makeMigration(`000${index}_fixture`, index, text));
  return checkAll(migrations).at(-1) ?? [];
}

function fixture(rule: RuleId, name: "pass" | "fail"): readonly Finding[] {
  const findings = findingsIn(readFileSync(`${FIXTURES}/${rule}/${name}.sql`, "utf8"));
  return findings.filter((each) => each.rule === rule);
}

describe.each(RULE_IDS)("the rule %s", (id) => {
  test("finds what it is about", () => {
    const found = fixture(id, "fail");

    expect(found.length).toBeGreaterThan(0);
    for (const finding of found) {
      expect(isFinding(JSON.parse(JSON.stringify(finding)))).toBe(true);
      expect(finding.message).toMatch(/^[^\n]+\.$/);
    }
  });

  test("finds nothing in what is safe", () => {
    expect(fixture(id, "pass")).toEqual([]);
  });

  test("proposes SQL that PostgreSQL can read and that it has nothing against", () => {
    for (const { rewrite } of fixture(id, "fail")) {
      const whole = parseRanges(rewrite).ok ? rewrite : `CREATE TABLE "t" (\n${rewrite}\n);`;

      expect(parseRanges(whole)).toMatchObject({ ok: true });
      expect(findingsIn(whole).filter(({ rule }) => rule === id)).toEqual([]);
    }
  });

  test("has a section of its own in docs/reference/rules.md, with its severity and its reason", () => {
    const section = docs.split(/^### /m).find((each) => each.startsWith(`\`${id}\``)) ?? "";
    const rule = RULES.find((each) => each.id === id);

    expect(section).toContain(`(${rule?.severity})`);
    expect(section).toContain(rule?.summary);
    expect(section).toContain("```sql");
  });
});

test("every rule has a name of the list, and every name one rule", () => {
  expect(RULES.map(({ id }) => id).toSorted()).toEqual([...RULE_IDS].sort());
});

test("every fixture and every section belongs to a rule", () => {
  const sections = Array.from(docs.matchAll(/^### `([\w-]+)`/gm), ([, id]) => id);

  expect(readdirSync(FIXTURES).toSorted()).toEqual([...RULE_IDS].sort());
  expect(sections).toEqual(RULE_IDS);
});
