"""Tell people by Telegram what the bot does, and let the right ones command it."""
