/** The settings of the app, which `neon-migrate smoke` writes to a file. */
export interface SmokeSettings {
  readonly stack: string;
  /** The scratch schema, with the ledger in it. */
  readonly schema: string;
  /** The folder of the migrations. */
  readonly folder: string;
  /** The name or the ARN of the secret or the parameter that holds the connection string. */
  readonly from: "secret" | "parameter";
  readonly id: string;
  /** The field of a secret that is JSON; null without one. */
  readonly field: string | null;
  /** The ARN of the customer-managed key that encrypts it; null without one. */
  readonly key: string | null;
}
