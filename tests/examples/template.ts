import { readFileSync } from "node:fs";
import { parse, type ScalarTag } from "yaml";
import { startCloudFormation } from "../../local/cloudformation/cloudformation.ts";
import { type Check, expectEqual } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";

/** A resource of a template, as far as it matters here. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** A CloudFormation template, with the intrinsic functions in their long form. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown }>>;
}

/** Without a setting Lambda repeats a call twice. */
const LAMBDAS_OWN_RETRIES = 2;

const FUNCTION_TYPES = ["AWS::Lambda::Function", "AWS::Serverless::Function"];

/** CloudFormation's short tags, as far as the examples use them. */
const TAGS: ScalarTag[] = [
  { tag: "!Ref", resolve: (name) => ({ Ref: name }) },
  { tag: "!Sub", resolve: (text) => ({ "Fn::Sub": text }) },
  { tag: "!GetAtt", resolve: (path) => ({ "Fn::GetAtt": path.split(".") }) },
];

/** Reads a template in YAML. */
export function readTemplate(file: string): Template {
  return parse(readFileSync(file, "utf8"), { customTags: TAGS });
}

/**
 * Deploys a template's function and its custom resource, and once more without a change; what the
 * template's outputs read of the resource has to be there.
 */
export function deployed(template: Template, stage: Stage): Check {
  return {
    by: "a stack on the stand-in",
    run: async () => {
      const resources = Object.values(template.Resources);
      const lambda = resources.find(({ Type }) => FUNCTION_TYPES.includes(Type));
      const custom = resources.find(({ Type }) => Type === "Custom::NeonMigrations");
      const { lambda: running, migrations } = await stage.deploy(environmentOf(lambda));
      const stack = await startCloudFormation({
        invoke: (event) => running.invokeAsync(event, redeliveryOf(template)),
        serviceTimeoutMs: Number(custom?.Properties.ServiceTimeout) * 1_000,
        serviceToken: running.functionArn,
      });
      try {
        const properties = resolved(custom?.Properties, stage);
        const created = await stack.create("Migrations", properties);
        expectEqual([created.status, ...created.problems], ["CREATE_COMPLETE"]);
        expectEqual(await migrations(), stage.bundle.migrations.length);
        const again = await stack.update("Migrations", properties);
        expectEqual([again.status, again.exchanges.length], ["UPDATE_COMPLETE", 0]);
        const known = Object.keys(stack.attributes("Migrations") ?? {});
        expectEqual(
          attributesRead(template).filter((name) => !known.includes(name)),
          [],
        );
      } finally {
        await stack.stop();
      }
    },
  };
}

/** How often a template has Lambda repeat a call: by a resource, or by what SAM makes one of. */
function redeliveryOf({ Resources }: Template): { readonly maximumRetryAttempts: number } {
  const settings = Object.values(Resources).map(({ Type, Properties }) =>
    Type === "AWS::Lambda::EventInvokeConfig" ? Properties : Object(Properties.EventInvokeConfig),
  );
  const given = settings.find(({ MaximumRetryAttempts }) => MaximumRetryAttempts !== undefined);
  return { maximumRetryAttempts: Number(given?.MaximumRetryAttempts ?? LAMBDAS_OWN_RETRIES) };
}

/** The environment variables of a function, with what an example leaves to its parameters filled in. */
function environmentOf(lambda: TemplateResource | undefined): Readonly<Record<string, string>> {
  const environment: { Variables?: object } = Object(lambda?.Properties.Environment);
  const entries = Object.entries(environment.Variables ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [name, filledIn(value, SECRET_ARN)]));
}

function resolved(properties: object | undefined, stage: Stage): object {
  const { ServiceToken: _, ...rest } = { ServiceToken: "", ...properties };
  const entries = Object.entries(rest);
  return Object.fromEntries(entries.map(([k, v]) => [k, filledIn(v, stage.bundle.hash)]));
}

function filledIn(value: unknown, parameter: string): string {
  return typeof value === "object" ? parameter : String(value);
}

function attributesRead({ Outputs = {} }: Template): readonly string[] {
  return Object.values(Outputs).flatMap(({ Value }) => {
    const path: unknown = Reflect.get(Object(Value), "Fn::GetAtt");
    return Array.isArray(path) && path[0] === "Migrations" ? [String(path[1])] : [];
  });
}
