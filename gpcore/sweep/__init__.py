"""The double backward by hand: a critic's loss, its penalty and all their gradients in one sweep of matrix products.

``layers`` says what kinds of layer the sweep can pass, ``passes`` is the derivation (read its first page),
``critic_step`` joins both to one critic step, ``updates`` holds the optimisers' updates as functions of tensors, and
``whole_step`` compiles step and update into one function. A newcomer starts with :func:`gpcore.penalized_backward_` in
``critic_step`` and chapter 7.
"""
