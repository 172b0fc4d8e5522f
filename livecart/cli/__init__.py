"""The command line: `livecart watch`, `run`, `evaluate-clip`, `catalog` and `webhooks`.

commands.py  the commands put together, and `run`;  catalog_commands.py  those of `livecart catalog`
watch.py     `watch`: one room in the terminal;  terminal.py  its card and status line
evaluate_clip.py  a clip against its truth;  clip_score.py  the computation;  clip_plot.py  the picture
catalog_work.py  the catalog's commands as functions;  catalog_check.py  whether the recogniser serves a folder
attribution_commands.py  `catalog lift` and `catalog postback`;  attribution_work.py  as functions
webhook_commands.py  `webhooks`: options;  webhook_work.py  its commands as functions
running.py   from options to an exit code
"""
