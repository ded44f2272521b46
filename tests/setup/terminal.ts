import { spawn } from "node:child_process";
import { resolve } from "node:path";
import xterm from "@xterm/headless";
import { inject } from "vitest";
import { waitFor } from "./wait-for.ts";

/** A command line on a terminal of its own. */
export interface TerminalRun {
  /** The lines that one would see now, without blanks at their ends. */
  screen(): Promise<readonly string[]>;
  /** The same, with each line that was too long for the terminal as one, as a selection of the mouse has it. */
  copied(): Promise<readonly string[]>;
  /** All that was written so far, with its control sequences. */
  written(): string;
  /** Waits until the text is on the screen. */
  sees(text: string | RegExp): Promise<void>;
  /** Types something: "\u0003" is Ctrl-C. */
  type(text: string): void;
  /** Waits for the end. @returns the exit code, as a shell has it */
  ended(): Promise<number | null>;
}

/** The terminal. */
interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  /** A file that gets standard output. Default: it goes to the terminal, too. */
  readonly into?: string;
  /** The working directory. Default: that of the tests. */
  readonly cwd?: string;
}

/** Plain Python has pseudo-terminals, and Node has not. */
const PSEUDO_TERMINAL = `
import fcntl, os, pty, select, struct, sys, termios
columns, rows, *words = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    os.execvp(words[0], words)
sources = [master, 0]
while True:
    ready, _, _ = select.select(sources, [], [])
    if 0 in ready:
        typed = os.read(0, 1024)
        if typed: os.write(master, typed)
        else: sources.remove(0)
    if master in ready:
        try: written = os.read(master, 65536)
        except OSError: break
        if not written: break
        os.write(1, written)
status = os.waitpid(pid, 0)[1]
sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
`;

/** Runs the command line on a pseudo-terminal. */
export function runOnTerminal(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  { columns = 100, rows = 24, into, cwd = process.cwd() }: TerminalOptions = {},
): TerminalRun {
  const program = [process.execPath, "--liftoff-only", resolve(inject("cliProgram")), ...words];
  const shell = into === undefined ? [] : ["sh", "-c", `exec "$@" > ${into}`, "sh"];
  const child = spawn(
    "python3",
    ["-c", PSEUDO_TERMINAL, String(columns), String(rows), ...shell, ...program],
    {
      cwd,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        TERM: "xterm-256color",
        ...environment,
      },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const end = new Promise<number | null>((resolve) => child.on("close", resolve));
  let written = "";
  child.stdout.on("data", (chunk: Buffer) => {
    written += chunk.toString();
    terminal.write(chunk);
  });
  const screen = async () => {
    await new Promise<void>((drawn) => terminal.write("", drawn));
    const { active } = terminal.buffer;
    const lines = Array.from(
      { length: active.length },
      (_, index) => active.getLine(index)?.translateToString(true) ?? "",
    );
    return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
  };
  const copied = async () => {
    const rows = await screen();
    const { active } = terminal.buffer;
    const goesOn = (at: number) => active.getLine(at)?.isWrapped === true;
    // A row that goes on is full: what looks like its end are blanks of the text.
    const texts = rows.map((row, at) => (goesOn(at + 1) ? row.padEnd(columns) : `${row}\n`));
    return texts.join("").trimEnd().split("\n");
  };
  return {
    screen,
    copied,
    written: () => written,
    sees: async (text) => {
      await waitFor(async () => {
        const shown = (await screen()).join("\n");
        return typeof text === "string" ? shown.includes(text) : text.test(shown);
      });
    },
    type: (text) => child.stdin.write(text),
    ended: async () => {
      const exitCode = await end;
      child.stdin.end();
      return exitCode;
    },
  };
}
