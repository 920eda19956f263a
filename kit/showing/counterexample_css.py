"""The looks of a counterexample's page: light and dark, and nothing from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #667085; --paper: #fbfcfd; --card: #fff; --line: #e3e7ec;
  --panel: #f4f6f9; --bad: #c62a2f; --bad-soft: #fdeced; --good: #1a7f4b; --good-soft: #e8f6ee; --new: #fff4d6;
  --h0: #3e63dd; --h1: #c2570c; --h2: #8e4ec6; --h3: #0d7f7f; --h4: #ad3b6e; --h5: #6b7a16; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --faint: #9aa4b2; --paper: #101317; --card: #171b21;
  --line: #2a313a; --panel: #1d222a; --bad: #ff6369; --bad-soft: #351a1d; --good: #4cc38a; --good-soft: #14291f;
  --new: #3a3010; --h0: #849dff; --h1: #ff9a57; --h2: #c79bf2; --h3: #4cc9c9; --h4: #f08bb8; --h5: #c0cf5c; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink);
  background: var(--paper); }
main { max-width: 66rem; margin: 0 auto; padding: 2.6rem 1.5rem 5rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .7rem; letter-spacing: -.01em; }
h1 .id { color: var(--bad); }
h2 { font-size: 1.1rem; margin: 2.8rem 0 .9rem; } h3 { font-size: .95rem; margin: 0; font-weight: 600; }
.law { font-size: 1.12rem; margin: 0 0 1rem; max-width: 52rem; } .faint { color: var(--faint); }
.level { font-size: .7rem; font-weight: 650; letter-spacing: .06em; border: 1px solid var(--bad); color: var(--bad);
  border-radius: 99px; padding: .15rem .6rem; vertical-align: .3em; margin-left: .4rem; }
code, pre, .mono { font: 12.5px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem; margin: .6rem 0 0;
  overflow-x: auto; }
.story { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 10px;
  padding: 1.1rem 1.4rem; font-size: 1.02rem; margin: 1.6rem 0 0; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.answer { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--good); border-radius: 10px;
  padding: .9rem 1.1rem; min-width: 0; overflow-wrap: anywhere; }
.answer.given { border-top-color: var(--bad); } .answer h3 { color: var(--good); } .answer.given h3 { color: var(--bad); }
.answer p { margin: .3rem 0 .7rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
td, th { text-align: left; vertical-align: top; padding: .22rem .6rem;
  font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; border-bottom: 1px solid var(--line); }
tr:last-child > td { border-bottom: 0; } th { color: var(--faint); font-family: inherit; font-weight: 500; }
td:first-child { color: var(--faint); }
.expected tr.differs td { background: var(--good-soft); } .given tr.differs td { background: var(--bad-soft); }
tr.differs td:first-child { color: inherit; font-weight: 650; } tr.differs td:first-child::after { content: " \\2190"; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
svg.timeline { display: block; font: 11px ui-monospace, Menlo, Consolas, monospace; }
svg text { fill: var(--ink); } .lane { fill: transparent; } .lane.odd { fill: var(--panel); }
.name { font-size: 12.5px; font-weight: 600; } svg .instant, svg .unit, svg .how { fill: var(--faint); }
.tick { stroke: var(--line); } .wrong-band { fill: var(--bad); opacity: .09; }
.hue0 { --hue: var(--h0); } .hue1 { --hue: var(--h1); } .hue2 { --hue: var(--h2); } .hue3 { --hue: var(--h3); }
.hue4 { --hue: var(--h4); } .hue5 { --hue: var(--h5); }
.mark { fill: var(--hue); } .bar { fill: var(--hue); fill-opacity: .2; stroke: var(--hue); stroke-width: 1.2; }
.claim .bar { stroke-dasharray: 4 3; fill-opacity: .1; } .tail { stroke: var(--hue); stroke-width: 1.5; stroke-dasharray: 2 3; }
g.wrong .bar { fill: var(--bad); stroke: var(--bad); fill-opacity: .22; }
.dot circle { fill: var(--hue); } .dot text { fill: var(--card); text-anchor: middle; font-weight: 700; }
.dot.wrong circle { fill: var(--bad); } .dot:hover circle, .dot:focus circle { stroke: var(--ink); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; font-size: .85rem; color: var(--faint); margin: .6rem 0 0; }
.legend i { display: inline-block; width: 26px; height: 12px; border-radius: 3px; vertical-align: -1px; margin-right: .45rem;
  border: 1.2px solid var(--h0); background: color-mix(in srgb, var(--h0) 20%, transparent); }
.legend i.claim { border-style: dashed; background: none; } .legend i.band { border: 0; background: var(--bad); opacity: .25; }
ol.steps { list-style: none; margin: 0; padding: 0; }
ol.steps > li { display: grid; grid-template-columns: 2.4rem minmax(0, 1fr); gap: 0 .8rem; }
.number { display: flex; flex-direction: column; align-items: center; }
.number b { width: 26px; height: 26px; border-radius: 50%; background: var(--hue); color: var(--card); display: grid;
  place-items: center; font: 700 12px ui-monospace, Menlo, monospace; }
.number::after { content: ""; flex: 1; width: 2px; background: var(--line); margin: 4px 0; }
li:last-child .number::after { display: none; } li.wrong .number b { background: var(--bad); }
.step { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1.1rem;
  margin-bottom: .9rem; min-width: 0; } li.wrong .step { border-color: var(--bad); }
li:target .step { outline: 2px solid var(--ink); }
.step p { margin: .15rem 0; overflow-wrap: anywhere; } .when { float: right; } .who { color: var(--hue); font-weight: 650; }
.between { color: var(--faint); font-size: .88rem; font-style: italic; margin: 0 0 .9rem; padding-left: .2rem; }
.step p.faint { font-size: .88rem; } .answer td:first-child { width: 38%; }
.what { font-weight: 600; } .what, .gave { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; }
.gave::before { content: "\\2192\\00A0\\00A0"; color: var(--faint); } .refused, li.wrong .gave { color: var(--bad); }
details { margin: .45rem 0 0; } summary { cursor: pointer; color: var(--faint); font-size: .88rem; }
summary:hover { color: var(--ink); } details details { margin-left: 0; }
tr.changed td:nth-child(3) { background: var(--new); } .none { color: var(--faint); }
ul.plain { padding-left: 1.1rem; margin: .4rem 0; } footer { margin-top: 3rem; font-size: .85rem; color: var(--faint); }
a { color: var(--h0); } p.faint a { color: inherit; text-decoration-color: var(--line); }
dl { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: .45rem 1rem; margin: 0; } dd { margin: 0; }
dt { font: 600 12.5px/1.8 ui-monospace, Menlo, Consolas, monospace; } dt:target, dt:target + dd { background: var(--new); }
@media (max-width: 46rem) { .pair { grid-template-columns: 1fr; } .when { float: none; display: block; } }
@media print { .step, .answer, .story { break-inside: avoid; } }
"""
