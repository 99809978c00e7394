"""How an optimiser step is judged: ``run`` makes steps under control, ``law`` reads what was done to the gradient.

``scalers`` finds the gradient scaler that a step holds. Start with ``run``.
"""
