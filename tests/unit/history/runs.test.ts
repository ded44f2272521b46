import { expect, test } from "vitest";
import { treatmentOf } from "../../../lib/history/keeper.ts";
import { byOf } from "../../../lib/history/runs.ts";
import { makeHome } from "../../setup/make-migration.ts";

const STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/b8c6f3a0-8a1e";

test.each([
  [{ source: "cli", user: "ada", host: "laptop" }, "ada@laptop"],
  [{ source: "cloudformation", stack: STACK, resource: "Db" }, "CloudFormation shop/Db"],
  [{ source: "codepipeline", job: "5555", revision: "9f1c" }, "CodePipeline 5555"],
  [{ source: "codedeploy", deployment: "d-EBUD" }, "CodeDeploy d-EBUD"],
  [
    { source: "ecs", deployment: "arn:aws:ecs:eu-central-1:1:service-deployment/shop/web/E1" },
    "ECS shop/web/E1",
  ],
  [{ source: "http", identity: "arn:aws:iam::123456789012:user/ada" }, "HTTP user/ada"],
  [{ source: "queued-run", run: "1", identity: "ada@example.com" }, "HTTP ada@example.com"],
  [{ source: "http" }, "HTTP"],
  [
    { source: "direct", execution: "arn:aws:states:eu-central-1:1:execution:deploy:6b1f" },
    "Step Functions deploy:6b1f",
  ],
  [{ source: "direct" }, "invocation"],
  [null, "role owner"],
])("%j is called %s", (caller, words) => {
  expect(byOf({ caller, role: "owner" })).toBe(words);
});

test.each([
  ["is begun in a schema of the ledger's own", {}, {}, "create"],
  [
    "is begun with a schema that is to be made",
    { schemaExists: false, mayCreateTable: false },
    {},
    "create",
  ],
  ["goes on where it is", { history: "open" }, { layout: "1.0" }, "write"],
  ["is not begun with Drizzle 1.0", {}, { layout: "1.0" }, "none"],
  ["is not begun beside a ledger of Drizzle 1.0", {}, { format: "1.0" }, "none"],
  ["is not begun among others", { history: "shared" }, {}, "none"],
  ["is not written in public", { schema: "public", history: "open" }, {}, "none"],
  [
    "is begun anywhere when it is wanted",
    { schema: "public" },
    { wanted: true, layout: "1.0" },
    "create",
  ],
  ["is not touched when it is not wanted", { history: "open" }, { wanted: false }, "none"],
  ["is missed where it is closed", { history: "closed" }, {}, "denied"],
  ["is missed where it may not be made", { mayCreateTable: false }, {}, "denied"],
] as const)("a history %s", (_title, home, options, treatment) => {
  const {
    layout = "0.x",
    format = "0.x",
    wanted,
  } = options as {
    readonly layout?: "0.x" | "1.0";
    readonly format?: "0.x" | "1.0";
    readonly wanted?: boolean;
  };
  expect(treatmentOf({ ...makeHome("drizzle"), ...home }, { wanted, layout }, format)).toBe(
    treatment,
  );
});
