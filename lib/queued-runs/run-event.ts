import type { Request } from "../request.ts";

/** The event that the function sends to itself, as a whole. `events/queued-run.ts` recognises it. */
export interface RunEvent {
  readonly "neon-migrate.run": {
    readonly id: string;
    readonly request: Request;
    /** Who asked for the run over HTTP, for the history; absent where AWS did not look. */
    readonly requestedBy?: string;
  };
}

/** The form of a run's id: 122 random bits that nobody guesses. */
export const RUN_ID: RegExp = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
