/** The traffic of one connection, or of all. */
export interface Traffic {
  /**
   * How often the client sent something and then waited for the server: until it had answered everything, or asked
   * something during the login. Answers that arrive while the client may go on sending do not count. The upgrade and a
   * goodbye do not count either.
   */
  readonly roundTrips: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
}

/** The traffic of a relay since its start, or since its counters were reset. */
export interface RelayStats extends Traffic {
  /** Connections that were opened in this time. */
  readonly connections: number;
  /** One entry per connection, in the order in which they were opened. */
  readonly perConnection: readonly Traffic[];
}

/** Counts for one connection. */
export class TrafficCounter {
  #roundTrips = 0;
  #bytesToServer = 0;
  #bytesToClient = 0;
  #awaiting = false;

  /** The client sends, and may wait for an answer. */
  sent(bytes: number): void {
    this.#awaiting = true;
    this.#bytesToServer += bytes;
  }

  /**
   * Bytes reach the client.
   * @param handsOver whether the client may speak now, which ends a round trip
   */
  received(bytes: number, handsOver: boolean): void {
    if (this.#awaiting && handsOver) this.#roundTrips += 1;
    if (handsOver) this.#awaiting = false;
    this.#bytesToClient += bytes;
  }

  reset(): void {
    this.#roundTrips = 0;
    this.#bytesToServer = 0;
    this.#bytesToClient = 0;
    this.#awaiting = false;
  }

  read(): Traffic {
    return {
      roundTrips: this.#roundTrips,
      bytesToServer: this.#bytesToServer,
      bytesToClient: this.#bytesToClient,
    };
  }
}

/** ReadyForQuery: its letter and its length; the state of the transaction follows in one byte. */
const READY_FOR_QUERY = Buffer.from("Z\0\0\0\u0005", "latin1");

/** Follows the bytes of a server, and knows when the client may speak. */
export class Turn {
  #tail: Buffer = Buffer.alloc(0);
  #loggedIn = false;

  /** Whether the client may speak behind these bytes. During the login every answer may be a question. */
  handsOver(bytes: Buffer): boolean {
    this.#tail = Buffer.concat([this.#tail, bytes.subarray(-6)]).subarray(-6);
    const ready = this.#tail.subarray(0, 5).equals(READY_FOR_QUERY);
    this.#loggedIn ||= ready;
    return ready || !this.#loggedIn;
  }
}

/** Adds up the connections of a relay. */
export function totalTraffic(perConnection: readonly Traffic[], connections: number): RelayStats {
  const sum = (pick: (traffic: Traffic) => number) =>
    perConnection.reduce((total, traffic) => total + pick(traffic), 0);
  return {
    connections,
    roundTrips: sum((traffic) => traffic.roundTrips),
    bytesToServer: sum((traffic) => traffic.bytesToServer),
    bytesToClient: sum((traffic) => traffic.bytesToClient),
    perConnection,
  };
}
