"""A real exchange's market as a feed: rows built from quotes, polled as the truth, streamed as a hint."""
