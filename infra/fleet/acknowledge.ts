import { Aspects, Stack } from "aws-cdk-lib";
import { CfnPolicy } from "aws-cdk-lib/aws-iam";
import type { IConstruct } from "constructs";
import { acknowledge } from "../role.ts";

const REASON =
  "Rights by prefix: the tenants that targets names, the folder of the runs, any version of the one function, and the machine's own executions.";

/**
 * Tells cdk-nag 3 why rights are for a prefix. It wants each by its very text, which has names that are known only when
 * everything is made.
 */
export function acknowledgePrefixes(scope: IConstruct): void {
  Aspects.of(scope).add({
    visit: (node) => {
      if (!CfnPolicy.isCfnPolicy(node)) return;
      const { Statement = [] } = Stack.of(node).resolve(node.policyDocument);
      for (const resource of Statement.flatMap(({ Resource }: { Resource: unknown }) => Resource)) {
        const text = flat(resource);
        if (text.includes("*")) acknowledge(node, `AwsSolutions-IAM5[Resource::${text}]`, REASON);
      }
    },
  });
}

/** Writes a value of a template as cdk-nag does: `<Bucket.Arn>/runs/*`. */
function flat(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if ("Ref" in value) return `<${String(value.Ref)}>`;
  if ("Fn::GetAtt" in value) return `<${[value["Fn::GetAtt"]].flat().join(".")}>`;
  const join: unknown = Reflect.get(value, "Fn::Join");
  if (!Array.isArray(join)) return JSON.stringify(value);
  const [separator, parts] = join;
  return parts.map(flat).join(separator);
}
