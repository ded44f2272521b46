import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { type LocalFleet, type LocalTenant, startFleet } from "../fleet/fleet.ts";
import type { Chapter } from "./chapters.ts";
import type { Screen } from "./screen.ts";
import type { Added, Played, Stage } from "./stage.ts";

const TENANTS = ["acme", "globex", "hooli", "initech", "soylent", "umbrella"];

const MEMBERS: Added = {
  tag: "0000_members",
  sql: "CREATE TABLE members (id int PRIMARY KEY, email text NOT NULL);",
};

/** One address for each member. The first version of it does not look at what there is. */
const UNIQUE: Added = {
  tag: "0001_one_address",
  sql: "ALTER TABLE members ADD CONSTRAINT members_email_key UNIQUE (email);",
};
const MENDED: Added = {
  tag: UNIQUE.tag,
  sql: `DELETE FROM members m USING members o WHERE o.email = m.email AND o.id < m.id;
--> statement-breakpoint
${UNIQUE.sql}`,
};

/** The fleet of the story: its tenants, and the folder of their migrations. */
class Tenants {
  readonly #stage: Stage;
  readonly #folder: string;
  readonly #fleet: LocalFleet;
  readonly #tenants: readonly LocalTenant[];
  #version: number;

  private constructor(
    stage: Stage,
    folder: string,
    fleet: LocalFleet,
    tenants: readonly LocalTenant[],
  ) {
    this.#stage = stage;
    this.#folder = folder;
    this.#fleet = fleet;
    this.#tenants = tenants;
    this.#version = 1;
  }

  /** Makes a database for each tenant, which has the first migration and two members. */
  static async open(stage: Stage): Promise<Tenants> {
    const folder = join(stage.scratch, "tenants");
    const { server, relay } = stage;
    const fleet = await startFleet({
      ...{ postgres: server, relay: relay.address },
      handlerDirectory: await assetOf(stage, folder, 1, [MEMBERS]),
    });
    stage.onClose(() => fleet.stop());
    const tenants = await fleet.addTenants(TENANTS);
    writeFileSync(
      join(stage.scratch, "tenants.jsonl"),
      tenants.map(({ target }) => `${JSON.stringify(target)}\n`).join(""),
    );
    return new Tenants(stage, folder, fleet, tenants);
  }

  /** Publishes a version of the function with these migrations. */
  async publish(...migrations: readonly Added[]): Promise<void> {
    this.#version += 1;
    this.#fleet.deploy(await assetOf(this.#stage, this.#folder, this.#version, migrations));
  }

  async command(verb: string, ...words: readonly string[]): Promise<Played> {
    const { stateMachineArn } = this.#fleet.machine;
    const line = ["fleet", verb, "--machine", stateMachineArn, ...words];
    return await this.#stage.run(this.#fleet.environment, ...line);
  }

  async sql(text: string, ids: readonly string[] = TENANTS): Promise<readonly unknown[]> {
    const { admin } = this.#stage.server;
    const asked = this.#tenants.filter(({ target }) => ids.includes(target.id));
    const rows = await Promise.all(asked.map(({ database }) => admin.sql(text, [], database)));
    return rows.flat();
  }

  /** Counts the tenants whose members have one address each. */
  async through(): Promise<number> {
    const found = "select from pg_constraint where conname = 'members_email_key'";
    return (await this.sql(found)).length;
  }
}

/** Writes a folder of migrations, and makes of it what is deployed. */
async function assetOf(
  { scratch }: Stage,
  folder: string,
  version: number,
  migrations: readonly Added[],
): Promise<string> {
  const source = `${folder}-${version}`;
  mkdirSync(join(source, "meta"), { recursive: true });
  const entries = migrations.map(({ tag }, idx) => ({
    ...{ idx, version: "7", when: 1_790_000_000_000 + idx, tag, breakpoints: true },
  }));
  const journal = { version: "7", dialect: "postgresql", entries };
  writeFileSync(join(source, "meta/_journal.json"), JSON.stringify(journal));
  for (const { tag, sql } of migrations) writeFileSync(join(source, `${tag}.sql`), `${sql}\n`);
  const asset = join(scratch, `tenants-asset-${version}`);
  await writeAsset(await compileBundle(source), asset, join(scratch, "handler"));
  return asset;
}

/** Shows a command, and how it ended. */
function show(screen: Screen, line: string, { output, exitCode }: Played): void {
  screen.show(`$ npx neon-migrate fleet ${line}`, `${output.trimEnd()}\n(exit code ${exitCode})`);
}

let opened: Tenants | null = null;

/** A fleet whose canary fails, and which goes on behind the fix. */
export const FLEET_CHAPTERS: readonly Chapter[] = [
  {
    title: `A fleet: ${TENANTS.length} tenants with a database each; the canary fails, the rest stays as it is`,
    expected: `exit codes 0 and 1, 0 of ${TENANTS.length} through`,
    play: async (stage, screen) => {
      const tenants = await Tenants.open(stage);
      opened = tenants;
      screen.say(
        "Step Functions calls the function once for each tenant, by a Distributed Map for each wave.",
      );
      const first = await tenants.command("start", "--targets", "tenants.jsonl", "--quiet");
      show(screen, "start --machine … --targets tenants.jsonl", first);
      await tenants.sql("insert into members values (1, 'a@acme.test'), (2, 'a@acme.test')", [
        "acme",
      ]);
      screen.say("A migration wants one address for each member. At acme two members share one.");
      screen.show(`${UNIQUE.tag}.sql`, UNIQUE.sql);
      await tenants.publish(MEMBERS, UNIQUE);
      const waves = ["--targets", "tenants.jsonl", "--waves", "acme,100%"];
      const second = await tenants.command("start", ...waves);
      show(screen, "start --machine … --targets tenants.jsonl --waves acme,100%", second);
      const through = await tenants.through();
      return {
        seen: `exit codes ${first.exitCode} and ${second.exitCode}, ${through} of ${TENANTS.length} through`,
        answer: { first, second },
      };
    },
  },
  {
    title: "The fix goes out, and the fleet goes on with the same input",
    expected: `exit code 0, ${TENANTS.length} of ${TENANTS.length} through`,
    play: async (_stage, screen) => {
      if (opened === null) throw new Error("The fleet of the chapter before is not there.");
      screen.say("No tenant has the migration, so its file may be changed.");
      screen.show(`${MENDED.tag}.sql`, MENDED.sql);
      await opened.publish(MEMBERS, MENDED);
      const resumed = await opened.command("resume");
      show(screen, "resume --machine …", resumed);
      const through = await opened.through();
      screen.tell("databases", `${through} of ${TENANTS.length} have the constraint`);
      return {
        seen: `exit code ${resumed.exitCode}, ${through} of ${TENANTS.length} through`,
        answer: { resumed },
      };
    },
  },
];
