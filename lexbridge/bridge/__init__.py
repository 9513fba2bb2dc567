"""One live call on gevent: its inbox, its loop, its greenlets."""
