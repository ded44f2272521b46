import { shortened } from "../text.ts";
import type { Notice } from "./connection.ts";

/** A loop that raises a notice must not fill the report, and long notices must not fill the memory. */
const MAX_NOTICES = 1_000;
const MAX_CHARACTERS = 1_000_000;

/** Keeps the notices that a server sends while a migration runs. Those of our own bookkeeping are not kept. */
export class Notices {
  readonly kept: Notice[] = [];
  #migration: string | null = null;
  #room = MAX_CHARACTERS;

  /** From here on the server's notices belong to this migration; null: to none. */
  turnTo(migration: string | null): void {
    this.#migration = migration;
  }

  hear(severity = "NOTICE", message = ""): void {
    const isFull = this.kept.length >= MAX_NOTICES || this.#room <= 0;
    if (this.#migration === null || isFull) return;
    const shown = shortened(message, this.#room);
    this.#room -= shown.length;
    this.kept.push({ severity, message: shown, migration: this.#migration });
  }
}
