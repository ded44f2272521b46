import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../../lib/compile/statements.ts";

beforeAll(loadParser);

test.each([
  ["create index concurrently on t (a)", "alone"],
  ["drop index concurrently if exists i", "alone"],
  ["reindex table concurrently t", "alone"],
  ["alter table t detach partition p concurrently", "alone"],
  ["reindex schema s", "alone"],
  ["cluster", "alone"],
  ["vacuum", "alone"],
  ["discard all", "alone"],
  ["alter system set work_mem = '1MB'", "alone"],
  ["create database d", "alone"],
  ["drop database d", "alone"],
  ["alter database d set tablespace x", "alone"],
  ["create tablespace x location '/x'", "alone"],
  ["drop tablespace x", "alone"],
  ["create subscription s connection '' publication p", "alone"],
  ["drop subscription s", "alone"],
  ["alter subscription s refresh publication", "alone"],
  ["commit prepared 'x'", "alone"],
  ["-- neon-migrate: unparsed\nnovelty", "alone"],
  ["create index on t (a)", "transactional"],
  ["refresh materialized view concurrently m", "transactional"],
  ["analyze t", "transactional"],
  ["cluster t using i", "transactional"],
  ["create subscription s connection '' publication p with (connect = false)", "transactional"],
  ["alter database d set work_mem = '1MB'", "transactional"],
  ["reindex table t", "transactional"],
  ["create role r", "transactional"],
  ["alter type mood add value 'x'", "transactional"],
  ["savepoint s", "transactional"],
  ["begin", "begin"],
  ["start transaction", "begin"],
  ["end", "commit"],
  ["commit and chain", "commit-and-begin"],
  ["abort", "rollback"],
  ["rollback and chain", "rollback-and-begin"],
])("%s: %s", (sql, mode) => {
  const cut = cutStatements(sql);

  const [statement] = cut.ok ? cut.statements : [];
  expect(statement?.mode).toBe(mode);
});
