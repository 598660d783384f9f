"""The same layers, faster and smaller: same parameters and names, same values and gradients for the same masks.

A plain layer is the definition. A lean layer is a subclass of it that runs where it may (:mod:`.stepping_aside`), and
otherwise does what the plain layer does. With dropout, a plain and a lean model of the same seed differ in training:
they draw other masks (:mod:`.dropout`).
"""
