import { setTimeout as pause } from "node:timers/promises";
import { fire } from "./shot.ts";
import type { Direction, Stretch } from "./tap.ts";
import {
  type Attempt,
  type Disturbance,
  inTurn,
  type Scenario,
  settledFlag,
  type Trial,
  type Undisturbeds,
  untilLockIsFree,
} from "./trial.ts";
import { ROUND_TRIPS_MS } from "./undisturbed.ts";

/** Where the connection breaks: behind so many bytes of one direction, which still arrive. */
interface Place {
  readonly direction: Direction;
  readonly bytes: number;
}

/** The connection breaks at any byte, in either direction. */
export const cut: Scenario = {
  name: "cut",
  parallel: true,
  tries: () => 300,
  attempt: inTurn((trial) => {
    const { stage, undisturbed, random } = trial;
    stage.relay.setRoundTripMs(random.pick(ROUND_TRIPS_MS));
    const direction = random.pick<Direction>(["toServer", "toClient"]);
    return cutRun(trial, { direction, bytes: random.integer(1, undisturbed.bytes[direction]) });
  }),
};

/** The connection breaks in a COMMIT or in the answer to it: at every byte of every one. */
export const commit: Scenario = {
  name: "commit",
  parallel: true,
  tries: (undisturbed) => attemptsAround(undisturbed).length,
  attempt: (number, undisturbed) => {
    const attempts = attemptsAround(undisturbed);
    // Any beginning of the series is spread over all of them.
    const attempt = attempts[(number * STRIDE) % attempts.length];
    if (attempt === undefined) throw new Error("No run has sent a COMMIT.");
    return attempt;
  },
};

/** A prime, so that the series comes to every place before it comes to one again. */
const STRIDE = 7_919;

/** How far before and behind a COMMIT the connection is broken too: process ids vary in length. */
const MARGIN = 2;

function attemptsAround(undisturbed: Undisturbeds): readonly Attempt[] {
  return [...undisturbed].flatMap(([workload, { commits }]) =>
    commits.flatMap((stretch) =>
      placesAround(stretch).map((place) => ({
        workload,
        disturb: (trial: Trial) => cutRun(trial, place),
      })),
    ),
  );
}

function placesAround({ direction, from, to }: Stretch): readonly Place[] {
  return Array.from({ length: to - from + 2 * MARGIN + 1 }, (_, index) => ({
    direction,
    bytes: from - MARGIN + index,
  }));
}

async function cutRun(trial: Trial, place: Place): Promise<Disturbance> {
  const { stage, workload } = trial;
  const { relay } = stage;
  relay.resetStats();
  relay.cutAfterBytes(place);
  const running = fire(await stage.warm(workload));
  const ended = settledFlag(running);
  const passed = () => {
    const [first] = relay.stats().perConnection;
    const counter = place.direction === "toServer" ? "bytesToServer" : "bytesToClient";
    return (first?.[counter] ?? 0) >= place.bytes;
  };
  while (!passed() && !ended()) await pause(1);
  const faultAt = passed() ? performance.now() : null;
  const lockFreeMs = untilLockIsFree(stage);
  const shot = await running;
  return {
    what: `connection cut after ${place.bytes} bytes ${place.direction}`,
    faultAt,
    shots: [shot],
    killed: false,
    lockFreeMs,
  };
}
