"""How an optimiser step is judged: ``run`` makes steps under control, ``law`` reads what was done to the gradient.

``calling`` finds out how to call the step, ``offers`` holds what it is given besides, ``hosts`` puts it into a method's
object, ``network`` is the model that it trains, ``memory`` puts back what its calls changed, ``scalers`` finds the
gradient scaler that it holds, ``watch`` sees optimisers of its own. ``short`` reads the answers to short gradients,
``cuts`` knows the ways to scale long ones, ``relative`` those that look at the weights, ``unfit`` says what is wrong
where none fits; ``judges`` asks the rest, ``calls`` what earlier calls change. Start with ``run``.
"""
