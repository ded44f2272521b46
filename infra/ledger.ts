import { Annotations } from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { ProjectSummary } from "../lib/project/names.ts";
import type { NeonMigrationsProps } from "./props.ts";

/** Adds the ledger that the drizzle.config file names to the props that name none, and says so at synth. */
export function withLedger<Props extends Pick<NeonMigrationsProps, "ledger">>(
  scope: Construct,
  props: Props,
  project: ProjectSummary | null,
): Props {
  const named = Object.entries(project?.ledger ?? {}).filter(([, name]) => name !== null);
  const added = named.filter(([key]) => Reflect.get(props.ledger ?? {}, key) === undefined);
  if (project === null || added.length === 0) return props;
  Annotations.of(scope).addInfoV2(
    "neon-lambda-migrator:LEDGER_FROM_CONFIG",
    `${project.file} names the ledger: ${added.map(([key, name]) => `${key} ${name}`).join(", ")}.`,
  );
  return { ...props, ledger: { ...props.ledger, ...Object.fromEntries(added) } };
}
