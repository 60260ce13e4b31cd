"""Write rates as text."""


def rate_text(rate: float) -> str:
    """Return a rate in per cent with two digits, as ``0.44 %``."""
    return f"{100 * rate:.2g} %" if rate < 0.995 else f"{100 * rate:.0f} %"
