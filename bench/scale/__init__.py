"""Simulation of calls, tasks, scaling and deployments on ECS: `python -m bench scale`."""
