"""What plugins share that tell people: texts, a durable outbox, a pace, a sender that waits out whatever fails.

A part of the public face for plugin authors, as ``tradecore.market`` is (docs/decisions/0009-channels-kit.md).
"""
