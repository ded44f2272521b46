import { readFileSync } from "node:fs";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { NeonFleet } from "../../infra/neon-migrations.ts";
import { readTemplate } from "../examples/template.ts";

const SAM = "infra/examples/sam/fleet.yaml";
const TERRAFORM = "infra/examples/terraform-fleet/main.tf";

/** What Lambda's basic policy of SAM, and the roles of others, allow beside the statements that are written out. */
const LOGS = /^logs:/;

/** All actions in a text of JSON, YAML or HCL, but for the log's. */
function actionsIn(text: string): readonly string[] {
  const found = text.match(/\b(?:lambda|s3|ssm|states|secretsmanager):[A-Z]\w+/g) ?? [];
  return [...new Set(found)].filter((action) => !LOGS.test(action)).sort();
}

function construct() {
  const stack = new Stack(new App(), "Shop");
  new NeonFleet(stack, "Fleet", {
    migrations: "drizzle",
    targets: ["parameter:/tenants/*"],
    check: false,
  });
  return Template.fromStack(stack);
}

describe("GIVEN the examples of a fleet without CDK", () => {
  const template = construct();
  const policies = JSON.stringify(template.findResources("AWS::IAM::Policy"));

  test.each([SAM, TERRAFORM])(
    "WHEN %s is deployed THEN its roles may what those of the construct may",
    (file) => {
      expect(actionsIn(readFileSync(file, "utf8"))).toEqual(actionsIn(policies));
    },
  );

  test.each([SAM, TERRAFORM])(
    "WHEN %s is deployed THEN its machine is the package's file, with both substitutions",
    (file) => {
      const text = readFileSync(file, "utf8");

      expect(text).toContain("node_modules/neon-lambda-migrator/infra/fleet.asl.json");
      const names = readFileSync("infra/fleet.asl.json", "utf8").match(/(?<=\$\{)\w+(?=\})/g);
      for (const name of new Set(names)) expect(text).toMatch(new RegExp(`^ +${name} *[:=]`, "m"));
      expect(JSON.parse(readFileSync("package.json", "utf8")).files).toContain(
        "infra/fleet.asl.json",
      );
    },
  );

  test("WHEN Terraform makes a text of the file THEN nothing in it is a directive of its templates", () => {
    expect(readFileSync("infra/fleet.asl.json", "utf8")).not.toContain("%{");
  });

  test("WHEN SAM's buckets and functions are read THEN they are as the construct's", () => {
    const { Resources } = readTemplate(SAM);
    const rulesOf = (properties: object) =>
      Object(properties).LifecycleConfiguration.Rules.map(
        ({ Prefix, ExpirationInDays }: Record<string, unknown>) => [Prefix, ExpirationInDays],
      );
    const [bucket] = Object.values(template.findResources("AWS::S3::Bucket"));

    expect(rulesOf(Resources.Bucket?.Properties ?? {})).toEqual(rulesOf(bucket?.Properties));
    expect(Object(Resources.Function?.Properties.Environment).Variables).toEqual({
      TARGETS: { "Fn::Sub": expect.stringMatching(/^parameter:\$\{TenantParameters\}\*$/) },
      FLEET_BUCKET: { Ref: "Bucket" },
    });
  });
});
