import { spawn } from "node:child_process";

/** A process that outlives ours, and ends a server and deletes its directory after our end. */
export interface Guard {
  /** Ends the server and deletes the directory now. */
  release(): Promise<void>;
}

/**
 * Waits until its standard input closes: the operating system closes it when our process ends, however it ends. Then
 * it sends SIGQUIT to the server (an immediate shutdown, as the data is not needed), waits for at most a minute, and
 * deletes the directory.
 */
const SCRIPT = `
cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
tries=0
if [ -n "$pid" ] && kill -QUIT "$pid" 2> /dev/null; then
  while kill -0 "$pid" 2> /dev/null && [ $tries -lt 3000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
fi
rm -rf "$1"
`;

/**
 * Sets a guard on a directory. It needs a POSIX shell. Only the guard cleans up, so a crash is handled in the same way
 * as every ordinary stop.
 * @param directory the directory that holds `data/`, PostgreSQL's data directory
 */
export function guardDirectory(directory: string): Guard {
  const guard = spawn("sh", ["-c", SCRIPT, "postgres-guard", directory], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const gone = new Promise<void>((resolve, reject) => {
    guard.once("exit", () => resolve());
    guard.once("error", reject);
  });
  // `release` reports a shell that could not be started; nobody else waits for it.
  gone.catch(() => undefined);
  guard.unref();
  return {
    release: async () => {
      guard.ref();
      guard.stdin.end();
      await gone;
    },
  };
}
