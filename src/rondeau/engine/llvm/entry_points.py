"""The ways into a kernel, on the OpenMP pool that PyTorch has loaded or on one thread; and the barrier of a team of threads."""

from __future__ import annotations

from rondeau.engine.compile.arguments import ARRIVED, PARTS, TEAM, TURN


def entry_points(spins: int) -> list[str]:
    """``parallel`` and ``serial``, and the barrier, with so many ``spins`` before a waiting thread gives up its processor.

    The threads of a team share each part, others take whole parts.
    """
    return [*_barrier(spins), *_THREADS, *_WAYS]


def _word(name: str, index: int) -> list[str]:
    return [f"  %{name}.at = getelementptr i64, ptr %args, i64 {index}", f"  %{name} = load i64, ptr %{name}.at"]


def _barrier(spins: int) -> list[str]:
    """The last thread to arrive opens it by the next turn; the others look for that turn."""
    return [
        "declare i32 @sched_yield()",
        "define internal void @barrier(ptr %args, i64 %n) nounwind {",
        "  %alone = icmp sle i64 %n, 1",
        "  br i1 %alone, label %done, label %arrive",
        "arrive:",
        f"  %arrived.at = getelementptr i64, ptr %args, i64 {ARRIVED}",
        f"  %turn.at = getelementptr i64, ptr %args, i64 {TURN}",
        "  %turn = load atomic i64, ptr %turn.at acquire, align 8",
        "  %before = atomicrmw add ptr %arrived.at, i64 1 acq_rel",
        "  %count = add i64 %before, 1",
        "  %last = icmp eq i64 %count, %n",
        "  br i1 %last, label %open, label %wait",
        "open:",
        "  store atomic i64 0, ptr %arrived.at monotonic, align 8",
        "  %next = add i64 %turn, 1",
        "  store atomic i64 %next, ptr %turn.at release, align 8",
        "  br label %done",
        "wait:",
        "  %spins = phi i64 [ 0, %arrive ], [ %more, %spin ], [ 0, %yield ]",
        "  %now = load atomic i64, ptr %turn.at acquire, align 8",
        "  %go = icmp ne i64 %now, %turn",
        "  br i1 %go, label %done, label %look",
        "look:",
        f"  %long = icmp sgt i64 %spins, {spins}",
        "  br i1 %long, label %yield, label %spin",
        "spin:",
        "  %more = add i64 %spins, 1",
        "  br label %wait",
        "yield:",
        "  %ignored = call i32 @sched_yield()",
        "  br label %wait",
        "done:",
        "  ret void",
        "}",
    ]


_THREADS = [
    "declare void @GOMP_parallel(ptr, ptr, i32, i32)",
    "declare i32 @omp_get_thread_num()",
    "declare i32 @omp_get_num_threads()",
    "define void @packer(ptr %args) nounwind {",
    "  %t = call i32 @omp_get_thread_num()",
    "  %n = call i32 @omp_get_num_threads()",
    "  %first = sext i32 %t to i64",
    "  %step = sext i32 %n to i64",
    "  call void @pack(ptr %args, i64 %first, i64 %step)",
    "  ret void",
    "}",
    "define void @worker(ptr %args) nounwind {",
    "  %t = call i32 @omp_get_thread_num()",
    "  %n = call i32 @omp_get_num_threads()",
    "  %first = sext i32 %t to i64",
    "  %step = sext i32 %n to i64",
    *_word("parts", PARTS),
    *_word("team", TEAM),
    "  %shared = icmp sgt i64 %team, 1",
    "  br i1 %shared, label %together, label %head",
    "together:",
    "  %few = icmp slt i64 %step, %team",
    "  %size = select i1 %few, i64 %step, i64 %team",
    "  %mine = icmp slt i64 %first, %size",
    "  br i1 %mine, label %member, label %done",
    "member:",
    "  call void @part(ptr %args, i64 0, i64 %first, i64 %size)",
    "  br label %done",
    "head:",
    "  %k = phi i64 [ %first, %0 ], [ %next, %body ]",
    "  %more = icmp slt i64 %k, %parts",
    "  br i1 %more, label %body, label %done",
    "body:",
    "  call void @part(ptr %args, i64 %k, i64 0, i64 1)",
    "  %next = add i64 %k, %step",
    "  br label %head",
    "done:",
    "  ret void",
    "}",
]

_WAYS = [
    "define void @parallel(ptr %args) nounwind {",
    *_word("parts", PARTS),
    *_word("team", TEAM),
    "  %shared = icmp sgt i64 %team, %parts",
    "  %threads = select i1 %shared, i64 %team, i64 %parts",
    "  %n = trunc i64 %threads to i32",
    "  call void @GOMP_parallel(ptr @packer, ptr %args, i32 %n, i32 0)",
    "  call void @GOMP_parallel(ptr @worker, ptr %args, i32 %n, i32 0)",
    "  ret void",
    "}",
    "define void @serial(ptr %args) nounwind {",
    *_word("parts", PARTS),
    "  call void @pack(ptr %args, i64 0, i64 1)",
    "  br label %runs",
    "runs:",
    "  %k = phi i64 [ 0, %0 ], [ %l, %runs ]",
    "  call void @part(ptr %args, i64 %k, i64 0, i64 1)",
    "  %l = add i64 %k, 1",
    "  %more = icmp slt i64 %l, %parts",
    "  br i1 %more, label %runs, label %end",
    "end:",
    "  ret void",
    "}",
]
