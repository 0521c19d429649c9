"""``python -m alexnet_tf.site``: write the site into dist/site/."""

from alexnet_tf.site import build

print(f"Open {build()}")
