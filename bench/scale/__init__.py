"""A simulation of the service on ECS, second by second: calls, tasks, scaling, deployments: `python -m bench scale`."""
