import type { Report } from "../report/report.ts";
import { counted } from "../text.ts";
import { type Html, html } from "./html.ts";
import { lockoutSentence } from "./lockouts.ts";
import { duration } from "./outcome.ts";

type Wait = Report["waits"][number];
type Stall = Report["stalls"][number];

/** Says for whom the run waited, who waited for it, and who could not have gone on. Null where nobody did. */
export function waitingList({ waits, stalls, lockouts }: Report): Html | null {
  const items = [
    ...waits.map((wait) => ({ at: wait.startedMs, markup: waitItem(wait) })),
    ...stalls.map((stall) => ({ at: stall.startedMs, markup: stallItem(stall) })),
    ...lockouts.map((each) => ({
      at: each.startedMs,
      markup: html`<li><p>${lockoutSentence(each)}</p></li>`,
    })),
  ].toSorted((one, other) => one.at - other.at);
  if (items.length === 0) return null;
  return html`<h3 id="waits">Who waited for whom</h3>
<p class="note key"><span class="mark w"></span> the run waited <span class="mark s"></span> others waited for the run</p>
<ul class="list" aria-labelledby="waits">${items.map(({ markup }) => markup)}</ul>`;
}

function waitItem(wait: Wait): Html {
  const { migration, startedMs, durationMs } = wait;
  const who =
    migration === null ? "Outside of the migrations the run" : html`<b>${placeOf(wait)}</b>`;
  return html`<li><p>${who} waited <b>${duration(durationMs)}</b>, from ${duration(startedMs)} on, for:</p>${sessions(wait.blockedBy)}</li>`;
}

function stallItem(stall: Stall): Html {
  const { migration, startedMs, durationMs, sessions: count, longestMs, examples } = stall;
  const during = migration === null ? null : html`, at <b>${placeOf(stall)}</b>`;
  const longest = longestMs === 0 ? "" : ` The longest wait that was seen: ${duration(longestMs)}.`;
  const more = count > examples.length ? html`<p class="note">and others</p>` : null;
  return html`<li><p>Up to ${counted(count, "other session")} waited for the run for <b>${duration(durationMs)}</b>, from ${duration(startedMs)} on${during}.${longest}</p>${sessions(examples)}${more}</li>`;
}

function sessions(names: Wait["blockedBy"]): Html {
  const items = names.map(({ pid, gid, application, role }) => {
    const name =
      gid === null ? application || "a session without a name" : `the prepared transaction ${gid}`;
    const facts = [gid === null ? `pid ${pid}` : "", role === null ? "" : `role ${role}`];
    return html`<li>${name} <span class="note">${facts.filter(Boolean).join(", ")}</span></li>`;
  });
  return html`<ul class="who">${items}</ul>`;
}

function placeOf({ migration, statement }: Wait | Stall): string {
  return statement === null ? `${migration}` : `${migration}, statement ${statement}`;
}
