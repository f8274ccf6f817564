"""The style of a replay's page: light and dark, wide and narrow."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c9ced6; --quiet: #57606a;
  --allow: #4c9f70; --log: #8aa4b8; --delay: #4477aa; --degrade: #8a63b5;
  --throttle: #c98a16; --block: #bb3344; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171c; --line: #3b424c;
  --quiet: #9aa4b0; --allow: #5fb888; --log: #8fa9bd; --delay: #6aa3dd; --degrade: #b18ee0;
  --throttle: #e0a93b; --block: #e8606f; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; }
h1, h3, p, td { overflow-wrap: anywhere; }
.caption { color: var(--quiet); margin: 1rem 0 0; }
.note { border-left: 4px solid var(--throttle); padding-left: .6rem; }
svg.chart { display: block; width: 100%; max-width: 44rem; height: auto; }
.wide { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; min-width: 3rem; }
th { white-space: nowrap; }
"""
