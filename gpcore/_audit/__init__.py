"""What :mod:`gpcore.audit`, :mod:`gpcore.audit_scaling` and :mod:`gpcore.museum` are made of."""
