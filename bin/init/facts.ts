import type { Names } from "./names.ts";
import type { PackageManager } from "./package-manager.ts";

/** The facts of a project that stand in its file. Paths have slashes. */
export interface Facts {
  readonly names: Names;
  /** The migrations, seen from the working directory. */
  readonly folder: string;
  /** The folder of cdk.json, from which an app of CDK sees its files; empty for the working directory. */
  readonly appFolder: string;
  /** The flags that name this project to a command, each with a blank before it; empty where none is needed. */
  readonly flags: string;
  /** The function's variables beside the one for the secret: the ledger and the field, where they are named. */
  readonly variables: Readonly<Record<string, string>>;
  /** The name or the ARN of the secret with the connection string. */
  readonly secret: string;
  /** The SSM parameter that holds the connection string in the secret's place; null for the secret. */
  readonly parameter: string | null;
  readonly region: string | null;
  /** The branch that is deployed. */
  readonly branch: string;
  /** Whether package.json has a script `deploy`. */
  readonly hasDeploy: boolean;
  readonly packages: PackageManager;
  /** Whether another file of the folder names Terraform's providers. A second one would be refused. */
  readonly hasProviders: boolean;
}
