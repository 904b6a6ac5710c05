"""Many registries from one file: read it, plan, and apply the plan to all targets in parallel.

The file is the desired state; the actual state is read from Akka and the clouds each time. Each target is
applied by the same `bootstrap.engine.run.Run` that `pullkey onboard` uses.
"""
