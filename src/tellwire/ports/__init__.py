"""What the domain asks of the outside, as small Protocols; the adapters behind them are chosen in `app`."""
