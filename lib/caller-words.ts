import type { CallerFacts } from "./request.ts";

const NAMES: Readonly<Record<string, string>> = {
  cloudformation: "CloudFormation",
  codepipeline: "CodePipeline",
  codedeploy: "CodeDeploy",
  ecs: "ECS",
  http: "HTTP",
  "queued-run": "HTTP",
  direct: "invocation",
};

/** Says in a few words who called; null where that is not known. Example: `CloudFormation shop/Migrations`, `ada@laptop`. */
export function callerInWords(
  caller: Readonly<Record<string, string>> | CallerFacts,
): string | null {
  const { source, user, host, stack, resource, identity, execution } = caller;
  if (source === undefined) return null;
  if (source === "cli") return [user, host].filter(Boolean).join("@") || "command line";
  if (execution !== undefined) return `Step Functions ${lastOf(execution, /^.*?:execution:/)}`;
  const what =
    stack === undefined
      ? (identity ?? caller.job ?? caller.deployment ?? caller.service)
      : [lastOf(stack, /^.*?:stack\//).replace(/\/.*$/, ""), resource].filter(Boolean).join("/");
  const name = NAMES[source] ?? source;
  return what === undefined ? name : `${name} ${lastOf(what, ARN_HEAD)}`;
}

/** All of an ARN up to the name of what it names: `user/ada`. */
const ARN_HEAD = /^arn:[^:]*:[^:]*:[^:]*:\d*:(?:service-deployment\/)?/;

function lastOf(arn: string, head: RegExp): string {
  return arn.replace(head, "");
}
