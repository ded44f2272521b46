import { spawn } from "node:child_process";

/** A process that outlives ours and takes a server and its directory away when we are gone. */
export interface Guard {
  /** Ends the server and deletes the directory now. */
  release(): Promise<void>;
}

/**
 * Waits until its standard input closes, which the operating system does when our process ends, however
 * it ends. Then: SIGQUIT to the server (immediate shutdown: the data is thrown away), at most a minute
 * of patience, and the directory is deleted.
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
 * Sets a guard on a directory. It needs a POSIX shell; it is the only thing that cleans up, so that the
 * way after a crash is the way that every ordinary stop takes.
 * @param directory holds `data/`, PostgreSQL's data directory
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
  // Whoever releases hears of a shell that could not be started; nobody else is waiting.
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
