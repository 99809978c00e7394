"""The double backward by hand: a critic's loss, its penalty and all their gradients in one sweep of matrix products.

``layers`` says what kinds of layer the sweep can pass, ``passes`` is the derivation (read its first page), and
``critic_step`` joins both to one critic step. A newcomer starts with :func:`gpcore.penalized_backward_` in
``critic_step`` and chapter 7.
"""
