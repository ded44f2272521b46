import { App, Stack } from "aws-cdk-lib";
import { NeonFleet, type NeonFleetProps } from "../../infra/neon-migrations.ts";

/** The properties that a test sets. */
export type FleetProps = Partial<NeonFleetProps>;

/** An input that is complete. */
export const INPUT = { targets: { s3: { bucket: "shop-tenants", key: "tenants.jsonl" } } };

/** Makes the construct at the path `Shop/Fleet`, with the example's migrations, and without `check`. */
export function fleetScene(props: FleetProps | ((stack: Stack) => FleetProps) = {}) {
  const stack = new Stack(new App(), "Shop");
  const fleet = new NeonFleet(stack, "Fleet", {
    migrations: "drizzle",
    targets: ["parameter:/tenants/*"],
    check: false,
    ...(typeof props === "function" ? props(stack) : props),
  });
  return { stack, fleet };
}
