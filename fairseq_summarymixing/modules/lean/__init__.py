"""The same layers, faster and with less memory: the same parameters and names, and for the same dropout masks the same
values and gradients.

A plain layer is the definition. A lean layer is a subclass of it with faster code, which runs the plain layer's code
where its own would be wrong (:mod:`.stepping_aside`). With dropout and the same seed, a plain and a lean model differ
in training, because they draw different masks (:mod:`.dropout`).
"""
