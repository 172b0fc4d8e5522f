"""Runs the network: OpenVINO on a CPU, torch on a GPU. A CPU worker loads neither torch nor timm.

artifact.py  its files in the archive;  export.py  writes them;  converted_networks.py  keeps them between
builds;  runtime.py  pixels to class scores and feature maps
"""
