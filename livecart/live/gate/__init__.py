"""Lets frames through that are worth a look: one run of the recogniser, which ends in a result.

gate.py        the decision for each frame;  settings.py;  signature.py, difference.py  what is compared
background_model.py  what of a changed picture is known;  states.py  the states and their transitions
foreground.py  what is new;  template.py  where a product went
"""
