"""One run, several faces: terminal, JSON, Markdown."""
