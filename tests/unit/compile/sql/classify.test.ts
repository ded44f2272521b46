import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../../lib/compile/statements.ts";

beforeAll(loadParser);

test.each([
  ["create index concurrently on t (a)", "alone", "concurrently"],
  ["drop index concurrently if exists i", "alone", "concurrently"],
  ["reindex table concurrently t", "alone", "concurrently"],
  ["alter table t detach partition p concurrently", "alone", "concurrently"],
  ["reindex schema s", "alone", "many-relations"],
  ["cluster", "alone", "many-relations"],
  ["vacuum", "alone", "vacuum"],
  ["discard all", "alone", "session"],
  ["alter system set work_mem = '1MB'", "alone", "cluster-settings"],
  ["create database d", "alone", "database"],
  ["drop database d", "alone", "database"],
  ["alter database d set tablespace x", "alone", "tablespace"],
  ["create tablespace x location '/x'", "alone", "tablespace"],
  ["drop tablespace x", "alone", "tablespace"],
  ["create subscription s connection '' publication p", "alone", "subscription"],
  ["drop subscription s", "alone", "subscription"],
  ["alter subscription s refresh publication", "alone", "subscription"],
  ["commit prepared 'x'", "alone", "two-phase-commit"],
  ["-- neon-migrate: unparsed\nnovelty", "alone", "unparsed"],
  ["create index on t (a)", "transactional", undefined],
  ["refresh materialized view concurrently m", "transactional", undefined],
  ["analyze t", "transactional", undefined],
  ["cluster t using i", "transactional", undefined],
  [
    "create subscription s connection '' publication p with (connect = false)",
    "transactional",
    undefined,
  ],
  ["alter database d set work_mem = '1MB'", "transactional", undefined],
  ["reindex table t", "transactional", undefined],
  ["create role r", "transactional", undefined],
  ["alter type mood add value 'x'", "transactional", undefined],
  ["savepoint s", "transactional", undefined],
  ["begin", "begin", undefined],
  ["start transaction", "begin", undefined],
  ["end", "commit", undefined],
  ["commit and chain", "commit-and-begin", undefined],
  ["abort", "rollback", undefined],
  ["rollback and chain", "rollback-and-begin", undefined],
])("%s: %s, because %s", (sql, mode, why) => {
  const cut = cutStatements(sql);

  const [statement] = cut.ok ? cut.statements : [];
  expect([statement?.mode, statement?.why]).toEqual([mode, why]);
});
