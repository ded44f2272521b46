import { CfnResource, Reference, Tokenization } from "aws-cdk-lib";
import type { IRole } from "aws-cdk-lib/aws-iam";
import { type FunctionProps, Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct, IConstruct } from "constructs";
import type { Compiled } from "./compile.ts";
import { databaseUrlEnvironment, onlyDatabaseUrl } from "./database-url.ts";
import { definedOf, functionSettings, ledgerEnvironment, logGroupOf } from "./function-settings.ts";
import { refuseUnfit, runOnInstances } from "./managed-instances.ts";
import type { NeonMigrationsProps } from "./props.ts";
import { rehearsalEnvironment } from "./rehearsal.ts";
import { allowThemselves, makeRole } from "./role.ts";

/** The deployed functions, with their role and their log. */
export interface Functions {
  /** The function that answers every caller. */
  readonly main: LambdaFunction;
  /** The function that streams its answer; undefined without `streamingUrl` and `streamingFunction`. */
  readonly stream: LambdaFunction | undefined;
  readonly role: IRole;
  readonly logGroup: ILogGroup;
  /** The variables that lead the functions to the database and its ledger. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Makes the functions with their role and their log. The main function's ARN must stay the same from one release of
 * this package to the next: otherwise CloudFormation refuses the custom resource that names it.
 * @throws Error for an unsupported runtime, a time-out that is too long, too little memory, or an invalid database
 */
export function makeFunctions(
  scope: Construct,
  given: NeonMigrationsProps,
  compiled: Compiled,
): Functions {
  refuseUnfit(scope, given);
  const props = { ...given, databaseUrl: onlyDatabaseUrl(scope, given.databaseUrl) };
  const environment = {
    ...databaseUrlEnvironment(scope, props.databaseUrl),
    ...ledgerEnvironment(props),
  };
  const logGroup = logGroupOf(scope, props);
  const role = makeRole(scope, props, logGroup);
  const neon = props.rehearsal === undefined ? {} : rehearsalEnvironment(scope, props.rehearsal);
  const shared = {
    ...functionSettings(scope, props, compiled),
    ...{ environment: { ...environment, ...neon }, logGroup, role },
  };
  const main = new LambdaFunction(scope, "Function", {
    ...shared,
    handler: "index.handler",
    description: "Applies the Drizzle migrations of this deployment to Neon.",
    ...definedOf({ functionName: props.functionName }),
  });
  if (props.capacityProvider !== undefined) runOnInstances(main, props.capacityProvider);
  const streams = props.streamingUrl === true || props.streamingFunction === true;
  const stream = streams ? makeStream(scope, shared, main) : undefined;
  if (props.asyncRuns === true) {
    allowThemselves(scope, role, stream === undefined ? [main] : [main, stream]);
  }
  refuseOpenUrls(scope);
  return { main, stream, role, logGroup, environment };
}

function makeStream(
  scope: Construct,
  shared: Omit<FunctionProps, "handler">,
  main: LambdaFunction,
): LambdaFunction {
  return new LambdaFunction(scope, "Stream", {
    ...shared,
    handler: "index.stream",
    description: "Applies the same migrations, and tells how far it is while it runs.",
    ...(shared.vpc === undefined ? {} : { securityGroups: main.connections.securityGroups }),
  });
}

/** Refuses unsigned URLs, also one that the app adds to a function later: the function may alter every table. */
function refuseOpenUrls(scope: Construct): void {
  scope.node.addValidation({
    validate: () =>
      scope.node.root.node
        .findAll()
        .filter((each) => isOpenUrl(each) && isOfFunctionIn(scope, each))
        .map(
          ({ node }) =>
            `${node.path} would let everyone on the internet run migrations. Its authType must be AWS_IAM.`,
        ),
  });
}

/** Looks at the type's name, because the class may come from another copy of CDK. */
function isOpenUrl(construct: IConstruct): boolean {
  return (
    CfnResource.isCfnResource(construct) &&
    construct.cfnResourceType === "AWS::Lambda::Url" &&
    Reflect.get(construct, "authType") !== "AWS_IAM"
  );
}

function isOfFunctionIn(scope: Construct, url: IConstruct): boolean {
  const arn = Tokenization.reverse(Reflect.get(url, "targetFunctionArn"));
  return Reference.isReference(arn) && arn.target.node.scopes.includes(scope);
}
