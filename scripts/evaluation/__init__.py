"""How good recognition is: labelled photos split into a catalog and queries, composed frames, metrics and plots."""
