"""How OpenMP threads wait for each other: one policy for every process that trains, and which one was in force."""

from collections.abc import Mapping

# An OpenMP thread that waits for the others at the end of a parallel region first spins, then sleeps. libgomp, which torch's
# wheels for Linux bring, spins for 300,000 `pause` instructions where nothing else is set. Once another process wants a core,
# one thread is off its core and all others spin until it is back. EfficientNet-Lite0 on the demo, batches of 32, two cores,
# seconds of a training epoch on torch (several runs each):
#   policy                     quiet                  beside one busy process    beside one at nice 19
#   none                       1.98 1.43 2.17 1.19    31 35 33                   31 22
#   OMP_WAIT_POLICY=PASSIVE    2.26 2.11              1.99 1.96                  1.94 2.12
#   GOMP_SPINCOUNT=0           1.81 2.11              1.83 2.06                  not measured
# TensorFlow has threads of its own: quiet 3.05 1.38 1.58 1.40, busy 3.11 1.63, with PASSIVE busy 3.3 1.59.
# `run_bench.py self contention` measures the policies below on the machine at hand. KMP_BLOCKTIME is that of Intel's and
# LLVM's OpenMP, in milliseconds.
POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"},
    "spin-1000": {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"},
    "spin-10000": {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"},
    "bound": {"OMP_PROC_BIND": "true"},
}
POLICY = "passive"
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
