"""The style sheet of the report page: light, printable, and readable on a phone."""

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --soft: #5b6773; --line: #dfe3e8; --blue: #0072b2;
  --wash: #f5f7f9; --tint: #eaf3f9; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 56px; }
header { margin-bottom: 20px; }
h1 { font-size: 27px; line-height: 1.2; margin: 2px 0 14px; overflow-wrap: anywhere; }
h1 span { color: var(--soft); font-weight: 400; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 0 0 12px; }
.kicker { color: var(--blue); font-weight: 600; font-size: 12.5px; letter-spacing: .06em;
  text-transform: uppercase; margin: 0; }
.note { color: var(--soft); font-size: 13.5px; }
section, .cards > div { background: #fff; border: 1px solid var(--line); border-radius: 10px; }
section { padding: 20px 22px; margin-top: 16px; }
.cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
.cards > div { padding: 14px 16px; }
.cards .label { color: var(--soft); font-size: 12.5px; }
.cards .value { font-size: 25px; font-weight: 650; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.cards .beside { font-size: 12.5px; color: var(--soft); }
.cards .main { border-color: var(--blue); background: var(--tint); }
.scroll { overflow-x: auto; margin: 0 -4px 14px; padding: 0 4px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 8px 0 6px; }
th, td { padding: 5px 9px; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
thead th { color: var(--soft); font-weight: 600; font-size: 12.5px; white-space: normal;
  vertical-align: bottom; }
tbody th { font-weight: 400; }
tr.group th { font-size: 12.5px; color: var(--soft); padding-top: 12px; font-weight: 600;
  position: static; }
tr.own th, tr.own td { background: var(--tint); font-weight: 600; }
td.best { color: var(--blue); font-weight: 700; }
img { width: 100%; max-width: 900px; height: auto; display: block; margin: 0 auto; }
figure { margin: 14px 0 4px; }
figcaption { color: var(--soft); font-size: 12.5px; margin-top: 4px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr));
  gap: 4px 28px; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.facts tbody th { white-space: normal; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 8px 0 0; }
dt { color: var(--soft); grid-column: 1; }
dd { margin: 0; grid-column: 2; }
details { margin-top: 8px; }
summary { cursor: pointer; font-weight: 600; color: var(--blue); }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 8px; padding: 12px;
  overflow-x: auto; font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { color: var(--soft); font-size: 12.5px; margin-top: 18px; }
@media (max-width: 560px) { main { padding: 20px 12px 40px; } section { padding: 16px 14px; }
  .cards { grid-template-columns: 1fr 1fr; } h1 { font-size: 23px; }
  .cards .value { font-size: 21px; } dl { display: block; } dt { margin-top: 8px; } }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
