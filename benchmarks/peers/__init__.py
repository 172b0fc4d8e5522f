"""The archive's recogniser behind other servers, each as its own documentation advises: `make bench-peers`.

recognise.py   what all of them serve;  the others, one server each, in processes of `.venv-peers`
"""
