"""The same layers, faster and smaller: same parameters and names, same values and gradients, dropout included.

A plain layer is the definition. A lean layer is a subclass of it that runs where it may (:mod:`.stepping_aside`), and
otherwise does what the plain layer does.
"""
