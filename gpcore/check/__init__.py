"""The checker of penalties and optimiser steps that others wrote, and the museum of the mistakes it knows.

``penalty`` and ``step`` are the two entries: each calls the code under test with probes, reads a formula off the
answers and asks the judges (``judges`` for penalties, ``steps`` for optimiser steps) what is wrong with it. On the way
of a penalty: ``calling`` recognises its arguments, ``ways`` how it may be called, ``subjects`` finds the batch that it
takes, ``probes`` calls it with crafted critics, ``trace`` and ``layout`` record what it differentiates by, ``points``
and ``arcs`` say where that is, ``observe``, ``laws``, ``mixtures`` and ``functions`` which formula gives its values,
``source`` what its code holds, ``lines`` which line of it a finding is about. ``report`` is the answer, ``mends`` holds
its sentences, ``refusals`` what is said of a function that cannot be called, ``museum``, ``museum_steps`` and
``museum_parallel`` an example of each mistake, ``command`` the command line.

This folder imports nothing of ``gpcore`` but the checks of arguments, so that a reader can trust it without trusting
the rest. A newcomer starts with ``penalty``.
"""
