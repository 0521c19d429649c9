"""An AlexNet laboratory on Keras 3: recipes of six sources, trained, measured and judged.

Importing the package loads nothing heavy; import the room you need, for example
``from alexnet_tf import recipes, training``. The map of the rooms is in README.md.
"""

__version__ = "0.1.0"
