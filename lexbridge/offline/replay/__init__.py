"""A recorded call once more: what today's endpointing makes of it, beside what was decided then."""
