"""Parts that several measurements share: service under test, simulated peers, tables."""
