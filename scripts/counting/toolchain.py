"""What decides how many instructions the same source comes to: compiler, valgrind, C library, the processor as valgrind shows it."""

import os
import platform
import re
import subprocess
from pathlib import Path

# valgrind hides what it doesn't know (AVX-512, VAES) and passes these on; TLS and memcpy choose their code by them.
SHOWN = ("aes", "avx", "avx2", "bmi1", "bmi2", "erms", "f16c", "fma", "movbe", "pclmulqdq", "rdrand", "sse4_2")


def describe():
    return {
        "rustc": first_line("rustc", "--version"),
        "valgrind": first_line("valgrind", "--version"),
        "libc": " ".join(platform.libc_ver()),
        "cc": first_line("cc", "--version"),
        "machine": platform.machine(),
        "target_cpu": target_cpu(),
        "cpu_features": " ".join(name for name in SHOWN if name in features()),
    }


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def target_cpu():
    found = re.findall(r"target-cpu=(\S+)", os.environ.get("RUSTFLAGS", "") + os.environ.get("CARGO_ENCODED_RUSTFLAGS", ""))
    return found[-1] if found else "default"


def features():
    listed = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return set(listed[1].split()) if listed else set()
