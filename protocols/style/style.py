"""Where the shared style is: `tokens.css`, `base.css`, `events.js`, uPlot. Both pages serve this folder at `/style`."""

from pathlib import Path

STYLE = Path(__file__).parent
