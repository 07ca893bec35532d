"""`gon bench`: what remoting costs, measured beside what nothing can beat.

    commands/bench ─▶ run ─▶ players (processes) ─▶ workloads │ baselines
                      └────▶ records ─▶ report, targets, plot
    stage ─▶ detour ─▶ delay (a process) ─▶ lane

A run compares places: `direct` (the device in the client's process), `tcp`, `unix`, `shm`, `zmq`,
far ones as `tcp+10ms`, and baselines that use no GoN. Each place is a player, a process of its own,
pinned as the placement says; the run asks the players in turns (A B A B …), so that whatever
disturbs the machine disturbs all alike.

Rules: of the client, only this package reads `time.perf_counter`; nothing here imports the server,
gond is a process.
"""
