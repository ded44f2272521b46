/** The style of a page. Everything is in it: a page loads nothing, and has no style of a single element. */
export const STYLE: string = `
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1d2126;--dim:#59616b;--line:#e3e4e1;--code:#f3f4f2;--good:#17693f;--good-bg:#e3f3ea;--open:#7a4d00;--open-bg:#fbf0d9;--bad:#a1201a;--bad-bg:#fbe6e4;--wait:#e09a1a;--stall:#7b3fb0;--focus:#2b5fb3}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1b1f24;--ink:#e7e9ec;--dim:#a2abb6;--line:#30363d;--code:#11151a;--good:#6fd39c;--good-bg:#17362a;--open:#efc06a;--open-bg:#3a2d12;--bad:#ff9b92;--bad-bg:#452020;--wait:#e0a43c;--stall:#c79af0;--focus:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:2rem 1.25rem 3rem;background:var(--bg);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
header p,footer p,.note,.dim{color:var(--dim)}header p{margin:0}
h1{font-size:1.75rem;line-height:1.25;margin:.6rem 0 1.75rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.1rem;margin:0 0 .75rem}h3{font-size:1rem;margin:1.25rem 0 .25rem}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.25rem;margin:0 0 1.25rem}
section.failure{border-left:.3rem solid var(--bad)}section.running{border-left:.3rem solid var(--open)}
p{margin:.4rem 0}.text{white-space:pre-line}
code,pre{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
.code{font-weight:600}
pre{background:var(--code);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem;margin:.5rem 0;overflow-x:auto;white-space:pre;overflow-wrap:normal}
.pill{display:inline-block;border-radius:1rem;padding:.05rem .6rem;font-size:.8125rem;font-weight:600;white-space:nowrap;background:var(--code);color:var(--dim)}
.pill.good{background:var(--good-bg);color:var(--good)}.pill.open{background:var(--open-bg);color:var(--open)}.pill.bad{background:var(--bad-bg);color:var(--bad)}
ul.rows,ul.list{list-style:none;margin:0;padding:0}
ul.rows>li{border-top:1px solid var(--line);content-visibility:auto;contain-intrinsic-size:auto 2.5rem}
ul.list>li{padding:.5rem 0;border-top:1px solid var(--line)}ul.list>li:first-child{border-top:0;padding-top:0}
.row{display:grid;grid-template-columns:minmax(0,19rem) minmax(0,1fr) 7rem;gap:.25rem 1rem;align-items:center;padding:.45rem .25rem}
.row>:last-child{justify-self:end;text-align:right}
.timeline .row{grid-template-columns:minmax(0,17rem) minmax(0,1fr) auto}
.when{display:flex;flex-wrap:wrap;gap:0 1.25rem;color:var(--dim);font-size:.875rem;font-variant-numeric:tabular-nums}
.name .dim{white-space:nowrap}
.state{display:flex;flex-wrap:wrap;gap:.25rem;justify-content:flex-end}
.num{font-variant-numeric:tabular-nums;white-space:nowrap}
summary{cursor:pointer;border-radius:.3rem}summary:hover{background:var(--code)}
summary.row{list-style:none}summary.row::-webkit-details-marker{display:none}
summary.row .name::before{content:"▸ ";color:var(--dim)}details[open]>summary.row .name::before{content:"▾ "}
:focus-visible{outline:.15rem solid var(--focus);outline-offset:.1rem}
.bar{display:block;width:100%;height:.9rem}svg.bar path{stroke-width:9;vector-effect:non-scaling-stroke;stroke:var(--dim);fill:none}svg.bar.good path{stroke:var(--good)}svg.bar.bad path{stroke:var(--bad)}svg.bar.open path{stroke-opacity:.45}svg.bar path.w{stroke:var(--wait);stroke-opacity:1}svg.bar path.s{stroke:var(--stall);stroke-width:4;stroke-opacity:1}
svg.bar{background:repeating-linear-gradient(90deg,var(--line) 0 1px,transparent 1px 25%)}
.mark{display:inline-block;width:1.4rem;height:.55rem;background:var(--wait)}.mark.s{height:.2rem;background:var(--stall);vertical-align:.15rem;margin-left:1rem}
ul.who{margin:.1rem 0 0;padding-left:1.25rem}
ol.sql .t{display:grid;grid-template-columns:minmax(0,17rem) minmax(0,1fr) 7rem;gap:1rem;align-items:center;padding-right:.25rem;text-align:right;font-variant-numeric:tabular-nums}ol.sql .t svg{grid-column:2}ol.sql .d{text-align:right;padding-right:.25rem;font-variant-numeric:tabular-nums}
.axis{font-size:.8125rem;color:var(--dim);padding-top:0}.ticks{position:relative;display:grid;grid-template-columns:repeat(4,1fr);font-variant-numeric:tabular-nums;white-space:nowrap}.ticks :last-child{position:absolute;left:100%}
ol.sql{margin:.25rem 0 1rem;padding-left:2.25rem}ol.sql pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0 .2rem}ol.sql p{margin:0 0 .35rem;font-size:.875rem;color:var(--dim)}ol.sql .w{color:var(--open)}ol.sql .x{color:var(--bad);font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:.3rem .6rem;border-top:1px solid var(--line)}th:first-child{text-align:left}thead th{border-top:0;color:var(--dim);font-weight:400;white-space:nowrap}
dl{margin:.5rem 0}dt{color:var(--dim);font-size:.875rem}dd{margin:0 0 .5rem}
dl.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.25rem 1.5rem}
@media (max-width:40rem){body{padding:1.25rem .75rem 2rem}h1{font-size:1.4rem}section{padding:.9rem}.row,.timeline .row{grid-template-columns:minmax(0,1fr) auto}.row .bar,.row .when{grid-column:1/-1;grid-row:2}.axis,ol.sql .t svg{display:none}ol.sql .t{display:block}}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--line:#ccc;--code:#fff;--good:#17693f;--good-bg:#fff;--open:#7a4d00;--open-bg:#fff;--bad:#a1201a;--bad-bg:#fff}body{max-width:none;padding:0;font-size:10pt}section{border:0;padding:0;break-inside:auto}section.failure,section.running{padding-left:.75rem}pre{white-space:pre-wrap}details::details-content{content-visibility:visible;block-size:auto}ul.rows>li{content-visibility:visible}.row,ol.sql>li,ul.list>li{break-inside:avoid}summary.row{break-after:avoid}svg.bar path{print-color-adjust:exact}.pill{border:1px solid}}
`;
