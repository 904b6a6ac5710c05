"""A deterministic simulation of pullkey: its engine, unchanged, in a world of which every event follows from
one seed.

In the manner of FoundationDB's and TigerBeetle's simulators: one process, one thread, virtual time, no
socket, no child process. The clouds lag, lose answers and refuse; Akka's list lags and cuts; runs overlap,
are killed at any await and start again on the same machine or on another. After each event, and once all is
at rest, `invariants` says what must hold.

    loop, clock      virtual time
    chance           what happens by chance, and which faults
    replicas, cloud  a cloud: identities, grants, keys
    akka             the `akka` command, and what Akka holds
    provider         the plugin for that cloud, as a good author writes one
    process, disk    the processes of pullkey, and the machines that they run on
    seams            what of the product is replaced while it is simulated
    commands         what the processes run
    scenario         the scenario of a seed
    world            plays a scenario
    invariants       what must hold
    shrink           makes a scenario that fails smaller
"""
