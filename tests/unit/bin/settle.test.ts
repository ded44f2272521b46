import { describe, expect, test } from "vitest";
import { type SettingFlags, type Sources, settle } from "../../../bin/settle.ts";
import { readConfig } from "../../../lib/target/config.ts";

const CONFIG: NonNullable<Sources["config"]> = {
  file: "drizzle.config.ts",
  folder: "of-config",
  ledger: { schema: "of_config", table: "of_config" },
  database: { url: "postgres://of@config/d" },
};

/** For each setting the places that name it, the stronger ones first, and the value behind all of them. */
const SETTINGS: readonly {
  readonly name: string;
  readonly flag: SettingFlags;
  readonly environment: Readonly<Record<string, string>> | null;
  readonly config: Partial<typeof CONFIG>;
  readonly values: { readonly [source: string]: string | null };
  readonly read: (flags: SettingFlags, sources: Sources) => string | null;
}[] = [
  {
    name: "the folder",
    flag: { folder: "of-flag" },
    environment: null,
    config: { folder: "of-config" },
    values: { flag: "of-flag", config: "of-config", default: "drizzle" },
    read: (flags, sources) => settle(flags, sources).folder,
  },
  {
    name: "the ledger's schema",
    flag: { ledgerSchema: "of_flag" },
    environment: { LEDGER_SCHEMA: "of_environment" },
    config: { ledger: { schema: "of_config", table: null } },
    values: {
      ...{ flag: "of_flag", environment: "of_environment", config: "of_config" },
      default: "drizzle",
    },
    read: (flags, sources) => readConfig(settle(flags, sources).environment).ledger.schema,
  },
  {
    name: "the ledger's table",
    flag: { ledgerTable: "of_flag" },
    environment: { LEDGER_TABLE: "of_environment" },
    config: { ledger: { schema: null, table: "of_config" } },
    values: {
      ...{ flag: "of_flag", environment: "of_environment", config: "of_config" },
      default: "__drizzle_migrations",
    },
    read: (flags, sources) => readConfig(settle(flags, sources).environment).ledger.table,
  },
  ...(["DATABASE_URL", "DATABASE_URL_SECRET", "DATABASE_URL_PARAMETER"] as const).flatMap(
    (variable) =>
      (["url", "secret", "parameter"] as const).map((flag) => ({
        name: `the database, by --${flag} and ${variable}`,
        flag: { [flag]: "of-flag" },
        environment: { [variable]: "of-environment" },
        config: { database: CONFIG.database },
        values: {
          ...{ flag: "of-flag", environment: "of-environment" },
          ...{ config: "postgres://of@config/d", default: null },
        },
        read: databaseIn,
      })),
  ),
];

function databaseIn(flags: SettingFlags, sources: Sources): string | null {
  const { databaseUrl } = readConfig(settle(flags, sources).environment);
  if (databaseUrl === null) return null;
  if (databaseUrl.from === "environment") return databaseUrl.url;
  return databaseUrl.from === "secret" ? databaseUrl.id : databaseUrl.name;
}

describe.each(SETTINGS)("$name", ({ flag, environment, config, values, read }) => {
  const order = ["flag", "environment", "config", "default"].filter((each) => each in values);
  const pairs = order.flatMap((stronger, index) =>
    order.slice(index + 1).map((weaker) => [stronger, weaker] as const),
  );

  test.each(pairs)("comes from the %s rather than from the %s", (...pair) => {
    const has = (source: string) => pair.some((each) => each === source);
    const none = { ...CONFIG, folder: null, ledger: { schema: null, table: null }, database: null };
    const sources: Sources = {
      environment: has("environment") ? (environment ?? {}) : { LEDGER_SCHEMA: " " },
      envFiles: [],
      config: has("config") ? { ...none, ...config } : null,
    };

    expect(read(has("flag") ? flag : {}, sources)).toBe(values[pair[0]]);
  });
});

describe("settle", () => {
  const originOf = (flags: SettingFlags, sources: Partial<Sources>) =>
    settle(flags, { environment: {}, envFiles: [], config: CONFIG, ...sources }).origin;
  const DATABASE_URL = "postgres://u@h/d";

  test.each<[string | null, SettingFlags, Partial<Sources>]>([
    ["--url", { url: "x" }, { environment: { DATABASE_URL } }],
    ["the secret shop/db", { secret: "shop/db" }, {}],
    ["the parameter /shop", { parameter: "/shop" }, {}],
    ["DATABASE_URL", {}, { environment: { DATABASE_URL } }],
    [
      "DATABASE_URL in .env",
      {},
      { environment: { DATABASE_URL }, envFiles: [{ file: ".env", names: ["DATABASE_URL"] }] },
    ],
    ["dbCredentials in drizzle.config.ts", {}, {}],
    [null, {}, { config: { ...CONFIG, database: { url: null, reason: "" } } }],
    [null, {}, { config: null }],
  ])("says that the connection string is of %s", (origin, flags, sources) => {
    expect(originOf(flags, sources)).toBe(origin);
  });

  test.each([
    ["used", "postgres://of@config/d"],
    ["overridden", "postgres://other@config/d"],
  ])("says that the file's database is %s beside %s", (database, url) => {
    const environment = { DATABASE_URL: url };

    const { fromConfig } = settle({}, { environment, envFiles: [], config: CONFIG });

    expect(fromConfig).toEqual({ folder: true, ledger: true, database });
  });

  test("takes the schema from one place and the table from another", () => {
    const environment = { LEDGER_SCHEMA: "tenant_a" };

    const { ledger } = settle({}, { environment, envFiles: [], config: CONFIG });

    expect(ledger).toEqual({ schema: "tenant_a", table: "of_config" });
  });
});
