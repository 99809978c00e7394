"""How an optimiser step is judged: ``run`` makes steps under control, ``law`` reads what was done to the gradient.

``calling`` finds out how to call the step, ``memory`` puts back what its calls changed, ``scalers`` finds the gradient
scaler that it holds. ``short`` reads the answers to short gradients, ``cuts`` knows the ways to scale long ones,
``relative`` those that look at the weights; ``judges`` asks the rest. Start with ``run``.
"""
