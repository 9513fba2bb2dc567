"""What the benchmarks share: servers under test, simulated peers, figures."""
