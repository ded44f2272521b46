import { LOCAL_ACCOUNT } from "./aws/account.ts";

/** The parts that run, and their addresses. */
export interface Greeting {
  readonly folder: string;
  /** The number of the function's migrations, in words. */
  readonly migrations: string;
  /** The tag of the last one; null without any. */
  readonly latest: string | null;
  /** The environment variables by which a shell reaches all of it. */
  readonly variables: Readonly<Record<string, string>>;
  readonly functionUrl: string;
  /** The connection string for tools that know nothing of `hostaddr`. */
  readonly plainUrl: string;
  readonly serverLog: string;
  /** The ARN of the state machine of a fleet. */
  readonly machineArn: string;
}

/** Makes the text of `npm run local`: variables to export, and commands that work as they are. */
export function greeting({
  folder,
  migrations,
  latest,
  variables,
  functionUrl,
  plainUrl,
  serverLog,
  machineArn,
}: Greeting): string {
  const exports = Object.entries(variables).map(([name, value]) => `  export ${name}=${value}`);
  return `PostgreSQL 18, stand-ins for Neon's proxy and Neon's API, a Lambda function with the ${migrations} of ${folder}, and a fleet's state machine are up.
Ctrl-C ends them and deletes the data. In another terminal:

${exports.join("\n")}

From this machine to the database:

  npx neon-migrate up --folder ${folder}
  psql "$DATABASE_URL"

The host of $DATABASE_URL is an endpoint of the project, which nobody but the relay and the API knows; \`hostaddr\` leads psql here.
A tool that does not read it, such as drizzle-kit, takes ${plainUrl}

By Neon's API, of which each branch is a PostgreSQL of its own: what is pending, on a branch that is deleted again; the state before a
migration that was applied, in a branch that stays; and the branches:

  npx neon-migrate rehearse --folder ${folder}
  npx neon-migrate restore --before ${latest ?? "$(date -u +%FT%TZ)"}
  curl -H "authorization: Bearer $NEON_API_KEY" "$NEON_API_URL/projects/$NEON_PROJECT_ID/branches"

By the function, as a pipeline does it:

  npx neon-migrate invoke neon-migrations --action plan
  npx neon-migrate invoke neon-migrations --tail

By the function, with AWS' own command line, which would give up after 60 s and call again:

  echo '{"action":"status"}' | AWS_MAX_ATTEMPTS=1 aws lambda invoke --endpoint-url "$AWS_ENDPOINT_URL_LAMBDA" \\
    --cli-read-timeout 0 --function-name neon-migrations --payload fileb:///dev/stdin /dev/stdout

By the function's URL, signed:

  curl --aws-sigv4 aws:amz:${LOCAL_ACCOUNT.region}:lambda --user local:local ${functionUrl}/migrations/plan
  curl --aws-sigv4 aws:amz:${LOCAL_ACCOUNT.region}:lambda --user local:local -X POST ${functionUrl}/migrations

By a fleet's state machine, a database for each tenant, and with AWS' own command line:

  for id in acme globex; do psql "$DATABASE_URL" -c "create database tenant_$id"; done
  for id in acme globex; do echo '{"id":"'$id'","database":"tenant_'$id'"}'; done > tenants.jsonl
  npx neon-migrate fleet start --machine ${machineArn} --targets tenants.jsonl
  aws stepfunctions list-executions --endpoint-url "$AWS_ENDPOINT_URL_SFN" --state-machine-arn ${machineArn}

The function keeps the migrations that it was started with. The server's log is ${serverLog}`;
}
