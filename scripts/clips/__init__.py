"""Live-like clips that know what they show: `make_clip.py` composes them, `livecart evaluate-clip` judges by them.

What a clip is made of, in the order of its making:

    designs       invented packaged products            packaging  their packages, drawn (printing, fonts, fruits)
    products      products of a clip and its catalog    storyboard who is shown when, and how it moves (motion)
    catalog_photos its photos, as a shop takes them     studio, hosts, stills, cuts  the background
    sprites, hands, actors                              what is in front of it
    overlays      captions, stickers, chat              writing    frames -> encoded clip
    composer      all of it together, and the truth     timeline   plot of shows and cards
    errors        of all of them
"""
