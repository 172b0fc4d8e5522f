"""Product recognition without a server: photo bytes in, labels and products out.

Nothing here imports TorchServe or opens a network connection, so the package works the same in the archive, in a
test and in a notebook. Start reading at ``recognizer.py``.
"""
