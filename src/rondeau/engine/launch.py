"""The ways into a kernel: all parts on the OpenMP pool that PyTorch has loaded, or one after another."""

from __future__ import annotations


def launchers() -> list[str]:
    """The ways in: all parts on the OpenMP pool that PyTorch has loaded, or one after another."""
    lines = [
        "declare void @GOMP_parallel(ptr, ptr, i32, i32)",
        "declare i32 @omp_get_thread_num()",
        "declare i32 @omp_get_num_threads()",
    ]
    for name, target in (("packer", "pack"), ("worker", "part")):
        lines += [
            f"define void @{name}(ptr %args) nounwind {{",
            "  %t = call i32 @omp_get_thread_num()",
            "  %n = call i32 @omp_get_num_threads()",
            "  %first = sext i32 %t to i64",
            "  %step = sext i32 %n to i64",
            "  %at = getelementptr i64, ptr %args, i64 2",
            "  %parts = load i64, ptr %at",
            "  br label %head",
            "head:",
            "  %k = phi i64 [ %first, %0 ], [ %next, %body ]",
            "  %more = icmp slt i64 %k, %parts",
            "  br i1 %more, label %body, label %done",
            "body:",
            f"  call void @{target}(ptr %args, i64 %k)",
            "  %next = add i64 %k, %step",
            "  br label %head",
            "done:",
            "  ret void",
            "}",
        ]
    return [
        *lines,
        "define void @parallel(ptr %args) nounwind {",
        "  %at = getelementptr i64, ptr %args, i64 2",
        "  %parts = load i64, ptr %at",
        "  %n = trunc i64 %parts to i32",
        "  call void @GOMP_parallel(ptr @packer, ptr %args, i32 %n, i32 0)",
        "  call void @GOMP_parallel(ptr @worker, ptr %args, i32 %n, i32 0)",
        "  ret void",
        "}",
        "define void @serial(ptr %args) nounwind {",
        "  %at = getelementptr i64, ptr %args, i64 2",
        "  %parts = load i64, ptr %at",
        "  br label %packs",
        "packs:",
        "  %i = phi i64 [ 0, %0 ], [ %j, %packs ]",
        "  call void @pack(ptr %args, i64 %i)",
        "  %j = add i64 %i, 1",
        "  %again = icmp slt i64 %j, %parts",
        "  br i1 %again, label %packs, label %runs",
        "runs:",
        "  %k = phi i64 [ 0, %packs ], [ %l, %runs ]",
        "  call void @part(ptr %args, i64 %k)",
        "  %l = add i64 %k, 1",
        "  %more = icmp slt i64 %l, %parts",
        "  br i1 %more, label %runs, label %end",
        "end:",
        "  ret void",
        "}",
    ]
