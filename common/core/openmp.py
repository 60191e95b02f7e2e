"""How OpenMP threads wait for each other: one policy for every process that trains, and which one was in force."""

from collections.abc import Mapping

# An OpenMP thread that waits for the others at the end of a parallel region first spins, then sleeps. libgomp, which torch's
# wheels for Linux bring, spins for 300,000 `pause` instructions where nothing else is set. Once another process wants a core,
# one thread is off its core and all others spin until it is back. `run_bench.py self contention` measured on two cores, with
# EfficientNet-Lite0 on torch, medians of 4 rounds (docs/performance.md has the table): without a policy a pass beside a busy
# process took 26.8 times as long as on the quiet machine. Sleeping at once (passive) made that 1.2, but the quiet machine 1.4
# times as slow as without a policy; 10,000 spins made it 2.5, and the quiet machine no slower (0.92). TensorFlow has threads
# of its own: 1.2 under every policy. KMP_BLOCKTIME is that of Intel's and LLVM's OpenMP, in milliseconds.
POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"},
    "spin-1000": {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"},
    "spin-10000": {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"},
    "bound": {"OMP_PROC_BIND": "true"},
}
POLICY = "spin-10000"
FACT = "OpenMP wait policy"  # what it is called in a trial's runtime config
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
OURS = "FRAMEWORK_BENCH_OPENMP"  # names those of the variables above that the harness set


def with_policy(given: Mapping[str, str], policy: str = "") -> dict[str, str]:
    """The variables `given`, with a wait policy.

    policy: one of POLICIES, whatever is given. Empty: POLICY, unless the user set one of the WAITING variables: then theirs
    stands alone, for one of ours may overrule it.
    """
    ours = set(given.get(OURS, "").split())
    names = {*WAITING, *BINDING} if policy else ours
    kept = {name: value for name, value in given.items() if name not in names}
    theirs = any(name in kept for name in WAITING)
    added = POLICIES[policy or POLICY] if policy or not theirs else {}
    return kept | added | {OURS: " ".join(added)}


def in_force(variables: Mapping[str, str]) -> str:
    """The policy in words: each variable with its value, and "(set by the user)" where the harness did not set it."""
    ours = variables.get(OURS, "").split()
    found = [
        f"{name}={variables[name]}" + ("" if name in ours else " (set by the user)")
        for name in (*WAITING, *BINDING)
        if name in variables
    ]
    return ", ".join(found) or "the library's own"
