"""Events of calls, posted as signed JSON."""
