import { join } from "node:path";
import { type Admin, createAdmin, databaseUrl, type Role } from "../postgres/admin.ts";
import { type Guard, guardDirectory } from "../postgres/guard.ts";
import {
  type Cluster,
  createDirectory,
  type Server,
  startServer,
  stopServer,
} from "../postgres/server.ts";

/** The superuser of every branch. */
export const SUPERUSER = "postgres";

/** One PostgreSQL on a data folder of its own. Every branch has one. */
export interface Compute {
  readonly cluster: Cluster;
  readonly guard: Guard;
  readonly password: string;
  server: Server;
  /** The number of the timeline that the server writes. No two branches of a project share one. */
  timeline: number;
}

/** The folder, and its guard, for a data folder that is to be made. */
export interface Place {
  readonly directory: string;
  readonly guard: Guard;
}

/** Makes the folder for a compute. Its guard deletes it with this process at the latest. */
export async function createPlace(): Promise<Place> {
  const directory = await createDirectory();
  return { directory, guard: guardDirectory(directory) };
}

/** Returns the data folder of a compute, or of a place for one. */
export function dataOf(directory: string): string {
  return join(directory, "data");
}

/** Makes the connection string of a compute over TCP. Default: the superuser's for `postgres`. */
export function urlOf(
  { password, server }: Pick<Compute, "password" | "server">,
  database = "postgres",
  role?: Role,
): string {
  const url = `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postgres`;
  return databaseUrl(url, database, role);
}

/** Makes an admin of a compute, for as long as it keeps its port. */
export function adminOf(compute: Pick<Compute, "password" | "server">): Admin {
  return createAdmin(urlOf(compute));
}

/** Ends the server and every session. The data stays. */
export async function halt(compute: Compute): Promise<void> {
  await stopServer(compute.server);
}

/** Starts a halted server again. @param port null takes a free one */
export async function resume(compute: Compute, port: number | null): Promise<void> {
  compute.server = await startServer(compute.cluster, port);
}

/** Ends the server and deletes its data. */
export async function discard({ guard }: Pick<Compute, "guard">): Promise<void> {
  await guard.release();
}
