"""What a chapter shows and what is recorded of it: pictures, tables, interactive figures, measurements and verdicts.

``study`` is the one place that knows the preset and checks measurements against their bands, ``evidence`` binds claims
to them, ``tables`` shows numbers, ``figures`` makes a picture that reads everywhere, ``plots`` and ``surfaces`` draw
what the chapters draw, ``widgets`` holds the figures that move, ``runs`` says where numbers come from, and ``reach``
which code of the package a chapter depends on. A newcomer starts with ``study``.
"""
