import type { Faults } from "./faults.ts";
import type { Project } from "./project.ts";
import type { Json } from "./views.ts";

/** The body of an answer, with its status. */
export interface Answer {
  readonly status: number;
  readonly body: Json | null;
}

/** One call, as far as it is understood. */
export interface Call {
  readonly project: Project;
  readonly faults: Faults;
  /** The parts of the path, by name. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Json;
  /** What the key of the call may do. */
  readonly scope: KeyScope;
}

/**
 * The three kinds of Neon's keys. `all projects`: a person's, which names the organization where it lists projects.
 * `organization`: that of one, which need not. The others are for one project.
 */
export type KeyScope = "all projects" | "organization" | "this project" | "another project";
