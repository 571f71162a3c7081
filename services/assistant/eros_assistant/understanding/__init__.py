"""From a text to its language and its intent, embedded and offline.

Importing loads nothing: weights, phrases and concepts are read by `Understanding.load`.
"""
