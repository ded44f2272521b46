/**
 * Loaded before everything else in a process of a function whose time somebody lets pass (`lambda-sandbox.ts` says how
 * much). Until then the clock goes as ever. Then it stands still at the moment that was said: what is due by then goes
 * off, and what is due later waits for another word. A pause that is begun from then on takes as long as ever, and moves
 * the clock on when it is over. When the call has ended the clock goes again.
 */

const { clearTimeout: clear, setTimeout: set } = globalThis;
const read = Date.now;
/** As long as Node's timers can wait. */
const FOREVER_MS = 2 ** 31 - 1;

/** The timers that have not gone off, by what their owners know them by. */
const timers = new Map();
/** How far this clock is before the real one, in ms. */
let aheadMs = 0;
/** Where the clock stands; null while it goes. */
let standing = null;

const now = () => standing ?? read() + aheadMs;

function goOff(timer) {
  timers.delete(timer.handle);
  if (standing !== null) standing = Math.max(standing, timer.due);
  timer.run();
}

/** Gives every timer another delay, in the order in which they are due. */
function rearm(delayOf) {
  for (const timer of [...timers.values()].toSorted((a, b) => a.due - b.due)) {
    const keepsAlive = timer.native.hasRef();
    clear(timer.native);
    timer.native = set(goOff, delayOf(timer), timer);
    if (!keepsAlive) timer.native.unref();
  }
}

const hooks = {
  setTimeout(run, delayMs, ...words) {
    const timer = { due: now() + (Number(delayMs) || 0), run: () => run(...words) };
    timer.handle = set(goOff, delayMs, timer);
    timer.native = timer.handle;
    timers.set(timer.handle, timer);
    return timer.handle;
  },
  clearTimeout(handle) {
    clear(timers.get(handle)?.native ?? handle);
    timers.delete(handle);
  },
};
Object.defineProperties(hooks.setTimeout, Object.getOwnPropertyDescriptors(set));
Object.assign(globalThis, hooks);
Date.now = now;
AbortSignal.timeout = (delayMs) => {
  const controller = new AbortController();
  const late = () => controller.abort(new DOMException("The time is over.", "TimeoutError"));
  hooks.setTimeout(late, delayMs).unref();
  return controller.signal;
};

process.on("message", ({ standAt, goAheadMs }) => {
  if (standAt !== undefined) {
    standing = standAt;
    rearm(({ due }) => (due > standAt ? FOREVER_MS : 0));
  } else {
    standing = null;
    aheadMs = goAheadMs;
    rearm(({ due }) => due - now());
  }
});
// Whoever lets time pass is no reason for a function to go on.
process.channel.unref();
