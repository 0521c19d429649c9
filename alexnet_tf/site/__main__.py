"""``python -m alexnet_tf.site``: write the site into dist/site/."""

import sys

from alexnet_tf.commands.told import told
from alexnet_tf.site import build

sys.exit(told(lambda: print(f"Open {build()}")))
