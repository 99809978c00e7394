"""What a chapter shows: figures, plots, interactive figures, measurements with their bands, verdicts, and records.

``figures`` makes a picture that reads everywhere, ``plots`` draws what the chapters draw, ``evidence`` binds claims to
measurements, ``runs`` says where numbers come from. A newcomer starts with ``evidence``.
"""
