"""Output of a call: the caller hears the bot by documents, or over the media stream."""
