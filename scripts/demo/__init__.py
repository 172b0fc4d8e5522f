"""`make demo`: the whole system on this machine, from a looped clip sent as a live stream to cards in a browser.

errors    DemoError
feed      packets of a clip or stream, at their own pace, with times that only grow
station   the same packets as HLS for viewers and as HTTP-FLV for livecart, never decoded
origin    serves both
stage     all of it together, with its addresses
shop      the clip and its catalog, made once; the catalog's database
system    TorchServe and `livecart run`, ended with the block
cards     what the hub tells a viewer
browser   a real Chromium as a viewer; audience  what it watches, until the run is judged
judgement what it drew, held against what the clip shows
"""
