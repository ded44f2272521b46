import type { Colors } from "picocolors/types.js";
import { counted, oneLine } from "../../lib/text.ts";
import { elapsed } from "../render/elapsed.ts";
import type { Picture } from "../render/live.ts";
import { cutText, renderTable } from "../render/table.ts";
import type { FailedTenant, Sight, WaveSight } from "./sight.ts";

const BAR_LENGTH = 20;
/** The failures that a picture shows, the newest of all. */
const MAX_SHOWN = 5;

/** All that is known of a fleet while it goes on, as a picture of the moment, and as the lines of a log. */
export class FleetView implements Picture {
  readonly #colors: Colors;
  readonly #now: () => number;
  readonly #startedMs: number;
  #sight: Sight | null = null;
  readonly #told = new Set<string>();

  /** @param now tells the time, in ms */
  constructor(colors: Colors, now: () => number = Date.now) {
    this.#colors = colors;
    this.#now = now;
    this.#startedMs = now();
  }

  /** Takes what was seen. @returns the lines that a log has for it */
  saw(sight: Sight): readonly string[] {
    this.#sight = sight;
    const lines = [
      ...(sight.counts === null ? [] : [headingOf(sight)]),
      // Between two looks a wave may have ended, and the next one begun: each is told in its order.
      ...sight.waves
        .filter(({ state }) => state !== "waiting")
        .flatMap((wave) => [
          `Wave ${wave.name} begins.`,
          ...sight.failures.filter((each) => each.wave === wave.name).map(failureLine),
          ...(isOver(wave) ? [throughLine(wave)] : []),
        ]),
    ];
    const fresh = lines.map(oneLine).filter((line) => !this.#told.has(line));
    for (const line of fresh) this.#told.add(line);
    return fresh;
  }

  /** The picture of the moment. */
  frame(columns: number): readonly string[] {
    const { dim, red } = this.#colors;
    const time = elapsed(this.#now() - this.#startedMs);
    const sight = this.#sight;
    if (sight === null || sight.counts === null) return [dim(`The list is read, ${time}`)];
    const waves = renderTable(
      [
        { title: "" },
        { title: "wave", atLeast: 8 },
        { title: "" },
        { title: "through" },
        { title: "failed" },
        { title: "" },
      ],
      sight.waves.map((wave) => this.#row(wave)),
      { width: columns, paintTitle: dim },
    );
    const failures = sight.failures.slice(-MAX_SHOWN);
    const slow = sight.slowest.map(({ id, sinceMs }) => `${oneLine(id)} ${elapsed(sinceMs)}`);
    return [
      cutText(`${oneLine(headingOf(sight))} ${time}`, columns),
      ...waves,
      ...(slow.length === 0 ? [] : [dim(cutText(`slowest now: ${slow.join(", ")}`, columns))]),
      ...failures.map((each) => red(cutText(oneLine(`✗ ${failureLine(each)}`), columns))),
    ];
  }

  /** Says that the fleet goes on, where nothing else was said for a while. */
  signOfLife(): string {
    const time = elapsed(this.#now() - this.#startedMs);
    const wave = this.#sight?.waves.find(({ state }) => state === "running");
    if (wave === undefined) return `Still at it, ${time} so far.`;
    return oneLine(`Wave ${wave.name}: ${through(wave)} of ${wave.count} through, ${time} so far.`);
  }

  #row(wave: WaveSight) {
    const { green, red, yellow, dim } = this.#colors;
    const marks = {
      ...{ waiting: dim("·"), running: yellow("▸"), done: green("✓") },
      ...{ failed: red("✗"), stopped: red("■") },
    };
    const failed = wave.failed === 0 ? "" : String(wave.failed);
    return [
      // The mark is one column wide, with or without its colour.
      { text: MARKS[wave.state], paint: () => marks[wave.state] },
      { text: oneLine(wave.name) },
      { text: wave.state === "waiting" ? "" : bar(wave), paint: dim },
      { text: `${through(wave)} of ${wave.count}` },
      { text: failed, paint: red },
      { text: timeIn(wave, this.#now()), paint: dim },
    ];
  }
}

const MARKS = { waiting: "·", running: "▸", done: "✓", failed: "✗", stopped: "■" } as const;

function headingOf({ run, counts }: Sight): string {
  const { total = 0, skipped = 0, due = 0 } = counts ?? {};
  const known = skipped === 0 ? "" : `, ${skipped} known as up to date`;
  return `Run ${run}: ${counted(total, "tenant")}${known}, ${due} due.`;
}

function failureLine({ id, code, message }: FailedTenant): string {
  return `${id}: ${code}${message === "" ? "" : `: ${message}`}`;
}

function throughLine({ name, succeeded, failed, aborted, state }: WaveSight): string {
  const more = [
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(aborted === 0 ? [] : [`${aborted} stopped`]),
  ];
  const end = state === "done" ? "is through" : state === "stopped" ? "was stopped" : "failed";
  return `Wave ${name} ${end}: ${[`${succeeded} well`, ...more].join(", ")}.`;
}

function isOver({ state }: WaveSight): boolean {
  return state !== "waiting" && state !== "running";
}

function through({ succeeded, failed, aborted }: WaveSight): number {
  return succeeded + failed + aborted;
}

function bar(wave: WaveSight): string {
  const full = Math.round((through(wave) / Math.max(wave.count, 1)) * BAR_LENGTH);
  return "█".repeat(Math.min(full, BAR_LENGTH)).padEnd(BAR_LENGTH, "░");
}

function timeIn({ startedAt, endedAt }: WaveSight, now: number): string {
  if (startedAt === null) return "";
  return elapsed(
    Math.max((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt), 0),
  );
}
