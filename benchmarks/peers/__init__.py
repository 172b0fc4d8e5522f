"""The archive's recogniser behind other servers, each as its own documentation advises: `make bench-peers`.

recognise.py   what all of them serve
fastapi_app.py, mosec_app.py, litserve_app.py, bentoml_app.py, ray_app.py  a server each, of `.venv-peers`
"""
