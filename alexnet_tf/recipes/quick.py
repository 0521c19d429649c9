"""What the quick budgets of CIFAR-10's systems share: drawn objects, few and seldom."""

OBJECTS_QUICK = {"dataset": "paintbox", "train_images": 1200, "epochs": 5}
