#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""
terminal-svg.py TITLE: read the output of a terminal, and write a picture of it as SVG.
Wrap lines at 125 columns.
"""

import io
import re
import sys

from rich.console import Console, CONSOLE_SVG_FORMAT
from rich.text import Text

text = Text.from_ansi(sys.stdin.read())
width = min(125, max(len(line) for line in text.plain.splitlines()))
console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
console.print(text)
# The format has the addresses of fonts. A document must not load them.
svg = console.export_svg(title=sys.argv[1], unique_id="terminal",
                         code_format=re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL))
sys.stdout.write(svg)
