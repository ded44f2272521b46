import { errorColors, widthOf } from "../print.ts";
import { wrapped } from "./wrap.ts";

/** What a command knows while it works, for a person. */
export interface Picture {
  /** The picture of the moment, in so many columns. */
  frame(columns: number): readonly string[];
  /** A line that says how far it is. */
  signOfLife(): string;
}

/** The places to which lines go. */
export interface Sink {
  /** Takes the lines of an event, one after the other. A picture of the moment has them already. */
  write(lines: readonly string[]): void;
  /** Takes a line that no picture has. It stays. */
  say(line: string): void;
  /** @returns how much of what was written stays, where there was a plan */
  end(): Told;
}

/** Nothing; the names of database and ledger; or these and a line for each migration that is applied. */
export type Told = "nothing" | "heading" | "list";

/** Some build servers end a job that is silent for a few minutes, and people sooner. */
export const SIGN_OF_LIFE_MS = 30_000;
/** A picture that counts seconds is late by no more than this. */
const FRAME_MS = 250;

/** Shows a picture on a terminal, which is rewritten in place, and elsewhere its lines, and a sign of life. */
export async function openSink(picture: Picture): Promise<Sink> {
  if (isLive(process.stderr, process.env)) return await screen(picture);
  const colors = errorColors();
  return lines(picture, (line) =>
    console.error(colors.dim(wrapped(line, widthOf(process.stderr)))),
  );
}

/** Whether somebody looks, at a device that can rewrite a line. The logs of build servers keep every line. */
function isLive({ isTTY }: Pick<NodeJS.WriteStream, "isTTY">, env: NodeJS.ProcessEnv): boolean {
  return isTTY === true && env.TERM !== "dumb" && (env.CI ?? "") === "";
}

async function screen(picture: Picture): Promise<Sink> {
  // A terminal alone needs it.
  const { createLogUpdate } = await import("log-update");
  const update = createLogUpdate(process.stderr, { showCursor: true });
  const draw = () => update(picture.frame(columnsOf(process.stderr)).join("\n"));
  const drawing = setInterval(draw, FRAME_MS).unref();
  draw();
  return {
    write: draw,
    say: (line) => {
      update.persist(errorColors().dim(wrapped(line, columnsOf(process.stderr))));
      draw();
    },
    end: () => {
      clearInterval(drawing);
      // The report goes to standard output. Where that is a file, the terminal keeps the last picture.
      const stays = process.stdout.isTTY !== true;
      if (stays) update.done();
      else update.clear();
      // It does not show all that are through.
      return stays ? "heading" : "nothing";
    },
  };
}

function columnsOf({ columns = 80 }: { readonly columns?: number }): number {
  return columns;
}

/** Makes the display of a log. */
export function lines(picture: Picture, write: (line: string) => void): Sink {
  const alive = setInterval(() => write(picture.signOfLife()), SIGN_OF_LIFE_MS).unref();
  const writeAll = (texts: readonly string[]) => {
    if (texts.length > 0) alive.refresh();
    for (const text of texts) write(text);
  };
  return {
    write: writeAll,
    say: (line) => writeAll([line]),
    end: () => {
      clearInterval(alive);
      return "list";
    },
  };
}
