"""knapsack doctor: what this machine can run, what is missing, and what each profile would need, in
one screen.

print("\\n".join(examine()))                  # the machine, then every profile of params/
print("\\n".join(examine("paper")))           # the machine, then one
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError, installs
from knapsack_lib.files import project_root
from knapsack_lib.interpreter.confine import PROTECTIONS
from knapsack_lib.machine import cores, memory
from knapsack_lib.policies.gemini_wire import has_key
from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import Profile, load_profile, load_suite
from knapsack_lib.resource_estimate import GIB, ResourceEstimate, estimate_resources

__all__ = ["Machine", "examine", "look"]

EXTRAS = {  # extra -> modules that show that it is installed
    "notebooks": ("papermill", "jupyterlab", "statsmodels", "anywidget"),
    "train": ("torch", "transformers", "trl", "peft", "bitsandbytes"),
    "gemini": ("google.genai",),
    "serve": ("openai", "fastapi"),
    "gpu": ("vllm", "unsloth"),
    "hub": ("huggingface_hub",),
}
PROGRAMS = {"latexmk": "the PDF", "chromium": "make test-browser"}


@dataclass(frozen=True)
class Machine:
    """Bytes; cores and memory are our share of them; `gpus` are (name, memory). `lacking` maps an extra to its modules that are not
    installed."""

    system: str
    cores: int
    memory: int
    disk: int
    gpus: tuple[tuple[str, int], ...]
    lacking: dict[str, tuple[str, ...]]
    programs: dict[str, bool]
    key: bool


def look() -> Machine:
    """This machine. Nothing heavy is imported, and a key is never read, only whether there is one."""
    lacking = {
        extra: tuple(m for m in modules if not _there(m)) for extra, modules in EXTRAS.items()
    }
    return Machine(
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        cores(),
        memory(),
        shutil.disk_usage(project_root()).free,
        _gpus(),
        lacking,
        {name: shutil.which(name) is not None for name in PROGRAMS},
        has_key(),
    )


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def _gpus() -> tuple[tuple[str, int], ...]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.rsplit(",", 1) for line in listed.strip().splitlines() if "," in line]
    return tuple((name.strip(), int(float(mib)) * 2**20) for name, mib in rows)


def examine(profile: str = "", machine: Machine | None = None) -> list[str]:
    """The lines of the screen. Raises UserError for an unknown profile."""
    machine = machine or look()
    names = [profile] if profile else [name for name in _stems() if load_suite(name) is None]
    return [
        *_of_machine(machine),
        *[line for name in names for line in _of_profile(load_profile(name), machine)],
    ]


def _of_machine(machine: Machine) -> list[str]:
    gpus = ", ".join(f"{name} ({memory / GIB:.0f} GiB)" for name, memory in machine.gpus) or "none"
    lines = [
        f"machine   {machine.system}, {machine.cores} cores, {machine.memory / GIB:.0f} GiB, {machine.disk / GIB:.0f} GiB free",
        f"GPU       {gpus}",
        f"extras    {', '.join(extra for extra, lack in machine.lacking.items() if not lack) or 'none'}",
    ]
    lines += [
        f"  missing {extra}: {', '.join(lack)} ({installs(extra)})"
        for extra, lack in machine.lacking.items()
        if lack
    ]
    lines += [
        f"  missing {name}, for {PROGRAMS[name]}"
        for name, there in machine.programs.items()
        if not there
    ]
    lines.append(
        f"API key   {'set' if machine.key else 'none (GEMINI_API_KEY in the environment or in .env)'}"
    )
    held = ", ".join(PROTECTIONS)
    return [*lines, f"sandbox   {held}: whether they hold here says make sandbox", ""]


def _stems() -> list[str]:
    """The names of the files of params/."""
    return sorted(path.stem for path in (project_root() / "params").glob("*.yaml"))


def _of_profile(profile: Profile, machine: Machine) -> list[str]:
    need = estimate_resources(profile, load_prices())
    lacking = _lacking(profile, need, machine)
    verdict = "can run here" if not lacking else "cannot run here: " + "; ".join(lacking)
    return [f"{profile.name:13} {verdict}", *[f"  {line}" for line in need.lines()], ""]


def _lacking(profile: Profile, need: ResourceEstimate, machine: Machine) -> list[str]:
    found = []
    most = max((memory for _, memory in machine.gpus), default=0)
    wanted = max(need.gpu.values(), default=0.0)
    if wanted > most:
        found.append(
            f"a GPU of {wanted / GIB:.0f} GiB" + (f" (here {most / GIB:.0f})" if most else "")
        )
    extras = ["notebooks", "train"] if not need.gpu else ["notebooks", "gpu", "serve"]
    extras += ["gemini"] if profile.teacher.policy == "gemini" else []
    found += [f"the extra {extra}" for extra in extras if machine.lacking[extra]]
    serving = profile.evaluation.serving
    if serving and serving.python and not (project_root() / serving.python).exists():
        found.append(f"{serving.python} (make check-vllm makes it)")
    if need.disk > machine.disk:
        found.append(f"{need.disk / GIB:.0f} GiB of disk")
    if profile.teacher.policy == "gemini" and not machine.key:
        found.append("an API key")
    shipped = Path(__file__).parent / "assets" / profile.training.base
    base = shipped if shipped.is_dir() else Path(profile.training.base)
    if base.is_dir() and not machine.lacking["train"]:
        try:  # a base of the hub is looked at when it is there: by training, before anything else
            ChatTokenizer.from_folder(base, profile.training.chat, profile.training.base)
        except UserError as problem:
            found.append(str(problem))
    there = shipped.is_dir() or found or need.gpu
    return found if there else [f"the base {profile.training.base}"]
