"""Product recognition without a server: photo bytes in, labels and products out.

Nothing here imports TorchServe or opens a network connection, so the package works the same in the archive, in a
test and in a notebook. A request passes the folders top to bottom, and each imports only those above it::

    errors.py, product.py, settings.py (values: ../model-config.yaml)
    request/     bytes to pixels and options
    classify/    the classifier's labels, products known by a label
    backbones/   weights to networks, when an archive is built
    network/     pixels to class scores and feature maps
    text/        packaging text and its index
    snapshot/    the file that holds a catalog
    index/       vectors of crops, nearest photos
    keypoints/   local features, their votes and colours
    catalog/     photos to a snapshot; a snapshot opened for matching
    find/        products of a catalog in a frame, and the reply
    recognizer.py

fitted/ holds data alone: what was fitted for each backbone.
"""
