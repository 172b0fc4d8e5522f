"""A request's bytes become an image and options.

forms.py  raw bytes, multipart or JSON;  images.py  bytes to upright RGB, limits judged before decoding
"""
