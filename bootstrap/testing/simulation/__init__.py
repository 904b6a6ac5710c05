"""A deterministic simulation of pullkey: its engine, unchanged, in a world whose every event follows from one
seed.

Modelled on the simulators of FoundationDB and TigerBeetle: one process, one thread, virtual time, no sockets,
no child processes. The clouds lag, lose answers and refuse; Akka's list lags and is truncated; runs overlap,
are killed at any await and start again on the same machine or on another. `invariants` checks what must hold,
after each event and once all is at rest.

    loop             virtual time
    chance           random decisions, and which faults occur
    replicas, cloud  a cloud: identities, grants, keys
    akka             the `akka` command, and what Akka holds
    provider         the plugin for that cloud, written as a provider's should be
    process, disk    the processes of pullkey, and the machines that they run on
    seams            what of the product is replaced while it is simulated
    commands         what the processes run
    scenario         the scenario of a seed
    world            plays a scenario
    invariants       what must hold
    shrink           reduces a failing scenario
"""
