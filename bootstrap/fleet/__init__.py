"""One file of many registries: reading it, planning, and doing what was planned for all of them side by side.

The file says what is to be; what is there is asked of Akka and of the clouds each time. Each target is done
by the same `bootstrap.engine.run.Run` as `pullkey onboard` does one.
"""
