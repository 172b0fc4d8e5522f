"""The command line: `livecart watch`, `livecart run`, `livecart evaluate-clip`.

commands.py  what there is, with its options and help
watch.py, run.py, evaluate.py   one command each
running.py   signals, exit codes, logging;  options.py: from options to settings
terminal.py  the card and the status line;  timeline.py: an evaluated clip as a picture
catalog_check.py   a catalog folder, and whether the recogniser serves it
"""
