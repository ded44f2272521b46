import { Aborted, StateError } from "./errors.ts";

/** An event of an execution, as `GetExecutionHistory` tells it, with its time in ms. */
export interface HistoryEvent {
  readonly id: number;
  readonly previousEventId: number;
  readonly timestamp: number;
  readonly type: string;
  /** The details have a name that goes with the type. */
  readonly [details: string]: unknown;
}

/** The most events of one execution (developer guide, "Quotas"). */
export const MAX_EVENTS = 25_000;

/** The details of the events of each type, by the name that the API has for them; other types have none. */
const DETAILS: Readonly<Record<string, string>> = {
  StateEntered: "stateEnteredEventDetails",
  StateExited: "stateExitedEventDetails",
};

/** The history of an execution. */
export class History {
  readonly events: HistoryEvent[] = [];
  /** Whether the events were thrown away, to save memory. */
  isForgotten = false;
  #isClosed = false;
  readonly #max: number;
  readonly #now: () => number;

  constructor(now: () => number, max: number) {
    this.#now = now;
    this.#max = max;
  }

  /**
   * Adds an event. @returns its id
   * @throws Aborted where the execution has ended meanwhile
   * @throws StateError where there is room for the last event only
   */
  add(type: string, details?: object, previous?: number): number {
    if (this.#isClosed) throw new Aborted();
    if (this.events.length >= this.#max - 1) {
      const words = `The execution reached the maximum number of history events (${this.#max}).`;
      throw new StateError("States.Runtime", words, { isTerminal: true });
    }
    return this.end(type, details, previous);
  }

  forget(): void {
    this.events.length = 0;
    this.isForgotten = true;
  }

  /** Adds an event for which there is always room. @returns its id */
  end(type: string, details?: object, previous?: number): number {
    const last = this.events.at(-1);
    const id = (last?.id ?? 0) + 1;
    // The first state follows the beginning with 0, like the beginning itself.
    const previousEventId = previous ?? (id <= 2 ? 0 : id - 1);
    this.events.push({
      ...{ id, previousEventId, timestamp: this.#now(), type },
      ...(details === undefined ? {} : { [detailsOf(type)]: details }),
    });
    if (type.startsWith("Execution")) this.#isClosed = !BEGINNINGS.includes(type);
    return id;
  }
}

const BEGINNINGS = ["ExecutionStarted", "ExecutionRedriven"];

function detailsOf(type: string): string {
  const kind = /State(?:Entered|Exited)$/.exec(type)?.[0] ?? "";
  return DETAILS[kind] ?? `${type.charAt(0).toLowerCase()}${type.slice(1)}EventDetails`;
}
