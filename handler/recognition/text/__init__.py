"""Packaging text.

ocr.py reads lines, overlay.py tells those drawn over the picture; lexicon.py has pieces and concepts, index.py the
documents that share them.
"""
